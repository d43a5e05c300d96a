"""The errors that a user can mend: the command line tells them in one line, without a traceback."""

import contextlib
from collections.abc import Iterator


class UserError(ValueError):
    """Something is wrong with the configuration, a file, the data or the machine; the message says what and where.

    Attributes:
      known_to_all: whether each of the processes that run together raises it, or one in its place.
    """

    known_to_all = False


class Problems:
    """Users' errors that are collected, so that all of them are told at once."""

    def __init__(self) -> None:
        self._found: list[UserError] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Notes a user's error that is raised in the block, which ends with it; any other error passes."""
        try:
            yield
        except UserError as error:
            self._found.append(error)

    def raise_all(self) -> None:
        """Raises what was collected: one error as it is, several as one that lists them."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            told = "; ".join(f"({number}) {error}" for number, error in enumerate(self._found, start=1))
            raise UserError(f"{len(self._found)} things are wrong: {told}")
