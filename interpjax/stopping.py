"""Signals that ask a run to stop: what is under way is saved first, and a second signal leaves at once.

Between :func:`deferred` a signal is only noted; who works there looks at :func:`requested` where it can save, saves,
and raises :class:`Stopped`. Anywhere else the signal raises it at once, as Ctrl-C does.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

# From users and terminals, from schedulers, and from a terminal that was closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):  # no error: the user asked for it, and notebooks treat it so
    """A run was stopped by a signal.

    Attributes:
      number: of the signal.
      where: what the same command goes on from.
      known_to_all: whether each of the processes that run together raises it.
    """

    known_to_all = False

    def __init__(self, number: int, where: str = "what is finished"):
        """Says where the same command goes on.

        Args:
          number: of the signal.
          where: what the same command goes on from.
        """
        self.number, self.where = number, where
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from {where}")

    @property
    def exit_code(self) -> int:
        """As shells give it for a process that a signal has ended: 130, 143 or 129."""
        return 128 + self.number


class _Watch:
    """The signals of this process."""

    def __init__(self) -> None:
        self.number = 0  # of the signal that came; 0: none
        self.depth = 0  # of blocks in which a signal is only noted

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Notes the first signal; the second ends the process, whatever it is doing."""
        del frame
        if self.number:
            os._exit(128 + number)
        self.number = number
        if not self.depth:
            raise Stopped(number)


_watch = _Watch()


@contextlib.contextmanager
def on_signals() -> Iterator[None]:
    """Watches for signals in the block; before and after it they do what they did.

    In another thread than the main one, where Python handles no signals, it does nothing. A signal that the process
    was told to ignore, as ``nohup`` does with SIGHUP, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    watched = {number: old for number, old in earlier.items() if old not in (signal.SIG_IGN, None)}
    _watch.number = 0
    for number in watched:
        signal.signal(number, _watch.handle)
    try:
        yield
    finally:
        for number, old in watched.items():
            signal.signal(number, old)
        _watch.number = 0


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Only notes a signal in the block, which is to look at :func:`requested`.

    Raises:
      Stopped: at the end of the block, if a signal came after the block last looked.
    """
    with noted():
        yield
    check()


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """As :func:`deferred`, but a signal stays noted at the end of the block, until :func:`check` is called."""
    _watch.depth += 1
    try:
        yield
    finally:
        _watch.depth -= 1


def check() -> None:
    """Raises Stopped if a signal has come, but not in a block in which it is only noted."""
    if not _watch.depth and _watch.number:
        raise Stopped(_watch.number)


def pending() -> int:
    """The number of the signal that came; 0 if none did, or if the block of :func:`noted` is within another one."""
    return _watch.number if _watch.depth == 1 else 0


def requested() -> int:
    """The number of the signal that has asked to stop; 0 if there was none."""
    return _watch.number
