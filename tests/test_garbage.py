"""No thread collects garbage while Ray ends: what Tune left behind would end the process with it."""

import gc
import threading
import time

from autoft.study import cluster


def test_garbage_is_collected_here_and_by_nobody_else_while_ray_ends():
    class Left:
        def __del__(self):
            freed_by.append(threading.get_ident())

    freed_by: list[int] = []
    left = Left()
    left.itself = left
    del left
    with cluster._no_garbage():
        assert freed_by == [threading.get_ident()]
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collection_by_another_thread_is_waited_for():
    begun, ended = threading.Event(), []

    class Slow:
        def __del__(self):
            begun.set()
            time.sleep(0.3)
            ended.append(True)

    def collect():
        slow = Slow()
        slow.itself = slow
        del slow
        gc.collect()

    other = threading.Thread(target=collect)
    other.start()
    assert begun.wait(10)
    with cluster._no_garbage():
        assert ended
    other.join()


def test_who_has_switched_the_collector_off_finds_it_off():
    gc.disable()
    try:
        with cluster._no_garbage():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
