"""How a command ends: a user's mistake with one line, a stop as the shell knows it, a bug with its traceback."""

import argparse
import contextlib
import difflib
import itertools
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from interpjax.errors import UserError
from interpjax.stopping import Stopped


class Parser(argparse.ArgumentParser):
    """Reads the arguments of a command; a wrong one ends it with one line, as every mistake of a user does."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The arguments. Of an option that is unknown it tells first, for it may be a missing one, misspelled."""
        known = self._option_string_actions
        for argument in itertools.takewhile(lambda own: own != "--", arguments):
            name = argument.partition("=")[0]
            if name.startswith("--") and name not in known:
                self.error(f"unrecognized arguments: {argument}{suggestion(name, known)}")
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Ends the process, with exit code 1."""
        sys.exit(f"{self.prog}: {message}; see {self.prog} --help")


def suggestion(name: str, known: Iterable[str]) -> str:
    """What may have been meant in place of a name that is not known; empty if nothing is like it."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.72)  # --task is not meant by --stages
    return f"; did you mean {near[0]}?" if near else ""


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the process where the block is interrupted, or a user can mend what is wrong; a bug keeps its traceback."""
    try:
        yield
    except Stopped as stop:
        with contextlib.suppress(OSError):  # the terminal may be what was closed
            print(stop, file=sys.stderr)
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except UserError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except BrokenPipeError:  # who read what is printed has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tells of it once more at its end
        sys.exit(128 + signal.SIGPIPE)
