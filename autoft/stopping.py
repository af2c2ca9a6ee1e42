"""Ctrl-C and SIGTERM: the first asks to stop, and nothing is lost; the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
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
        self._news = threading.Event()

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

    def announce(self, asked: Callable[[], None]) -> None:
        """Waits for the first signal, and calls `asked`; returns when it is `over`."""
        self._news.wait()
        if self.requested:
            asked()

    def over(self) -> None:
        """Ends `announce`."""
        self._news.set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._news.set()


@contextlib.contextmanager
def graceful(asked: Callable[[], None] = lambda: None) -> Iterator[Stop]:
    """A `Stop` that listens until the block ends; then everything is as it was before.

    Args:
        asked: Called at the first signal, to tell the user that it was heard. It is called from a thread of its own:
            a signal's handler interrupts whatever the main thread does, and may take no lock that it holds.
    """
    stop = Stop()
    main = threading.current_thread() is threading.main_thread()
    before = [(number, signal.getsignal(number)) for number in _SIGNALS] if main else []
    threading.Thread(target=stop.announce, args=(asked,), name="autoft-stop", daemon=True).start()
    stop.install()
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        stop.over()
