"""The clock of a search, with a clock of our own."""

import pytest

from autoft.study import driver
from autoft.study.driver import Timer


class Core:
    """Takes down what the timer says."""

    def __init__(self):
        self.said = []

    def drain(self):
        self.said.append("drain")

    def close(self, reason):
        self.said.append(reason)


@pytest.fixture
def clock(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(driver.time, "monotonic", lambda: now[0])
    return now


def said(timer, clock, at):
    clock[0] = 1_000.0 + at
    core = Core()
    timer.tick(core)
    return core.said


def test_no_trial_starts_in_the_last_quarter_and_none_trains_into_the_reserve(clock):
    timer = Timer(1_000.0 + 300, lambda: 30.0)
    assert said(timer, clock, 200) == []
    assert said(timer, clock, 0.75 * 270 + 1) == ["drain"]
    assert said(timer, clock, 269) == ["drain"]
    assert said(timer, clock, 271) == ["drain", "out of time"]


def test_the_reserve_follows_what_is_known_of_the_pace(clock):
    reserve = [30.0]
    timer = Timer(1_000.0 + 300, lambda: reserve[0])
    assert "out of time" not in said(timer, clock, 250)
    reserve[0] = 60.0
    assert "out of time" in said(timer, clock, 250)


def test_a_share_of_the_time_is_for_training_whatever_the_end_may_take(clock):
    timer = Timer(1_000.0 + 100, lambda: 1_000.0)
    assert "out of time" not in said(timer, clock, 39)
    assert "out of time" in said(timer, clock, 41)
    assert "out of time" in said(Timer(1_000.0 + 200, lambda: 1_000.0, share=0.0), clock, 101), "it may have none"
