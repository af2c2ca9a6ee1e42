"""Ctrl-C and SIGTERM: the first asks to stop, and nothing is lost; the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from autoft.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the user has asked to stop.

    Attributes:
        requested: Set by the first signal. Whoever does long work looks here between two steps.
    """

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raises `Interrupted` if the user has asked to stop.

        Raises:
            Interrupted: The user has.
        """
        if self.requested:
            raise Interrupted("stopped by the user")

    def install(self) -> None:
        """Listens to the signals; again after a library (Ray, for one) has put its own handlers there."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextlib.contextmanager
def graceful() -> Iterator[Stop]:
    """A `Stop` that listens until the block ends; then everything is as it was before."""
    stop = Stop()
    main = threading.current_thread() is threading.main_thread()
    before = [(number, signal.getsignal(number)) for number in _SIGNALS] if main else []
    stop.install()
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
