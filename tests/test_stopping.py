"""Ctrl-C: heard at once, obeyed at the next safe point; the second time at once."""

import os
import signal
import threading

import pytest

from autoft.errors import Interrupted
from autoft.stopping import graceful

PATIENCE = 60.0  # seconds that a busy machine may take; no test waits for them to pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_heard_and_the_second_stops_at_once(number):
    before, heard = signal.getsignal(number), threading.Event()
    with pytest.raises(KeyboardInterrupt), graceful(heard.set) as stop:  # noqa: PT012
        stop.check()
        os.kill(os.getpid(), number)
        assert heard.wait(PATIENCE)
        with pytest.raises(Interrupted):
            stop.check()
        os.kill(os.getpid(), number)
        threading.Event().wait(PATIENCE)
    assert signal.getsignal(number) is before


def test_it_is_heard_by_a_thread_that_may_take_any_lock():
    """A handler runs on top of whatever the main thread does: it would wait for itself."""
    lock, heard = threading.Lock(), threading.Event()

    def asked():
        with lock:
            heard.set()

    with graceful(asked), lock:
        os.kill(os.getpid(), signal.SIGINT)
        assert not heard.is_set()
    assert heard.wait(PATIENCE)


def test_nothing_is_left_where_nobody_asked():
    heard = []
    with graceful(lambda: heard.append(1)):
        (listener,) = [thread for thread in threading.enumerate() if thread.name == "autoft-stop"]
    listener.join(PATIENCE)
    assert not listener.is_alive() and heard == []
