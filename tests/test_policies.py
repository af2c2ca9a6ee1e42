"""Hyperband and the median rule: who goes on from a rung, who waits, who ends."""

import random
from collections import Counter

import pytest

from autoft.study.halving import Halving
from autoft.study.hyperband import Hyperband
from autoft.study.median import Median
from autoft.study.policies import policy

RUNGS = (10, 30, 90)


def test_every_name_has_its_policy():
    kinds = {name: policy(name, RUNGS, 3) for name in ("halving", "hyperband", "median", "none")}
    assert {name: type(found) for name, found in kinds.items()} == {
        "halving": Halving, "hyperband": Hyperband, "median": Median, "none": Halving,
    }  # fmt: skip
    assert [name for name, found in kinds.items() if not found.is_rung(30)] == ["none"]
    assert not any(found.is_rung(31) for found in kinds.values())
    with pytest.raises(ValueError, match="no scheduler 'asha'"):
        policy("asha", RUNGS, 3)


# The median rule


def test_the_first_ones_all_go_on():
    median = Median(RUNGS, grace=5)
    assert all(median.record(trial, 10, (-trial / 10,)) for trial in range(4))


def test_whoever_is_behind_the_median_ends_and_is_never_promoted():
    median = Median(RUNGS, grace=5)
    for trial, gain in enumerate((0.5, 0.6, 0.7, 0.8)):
        median.record(trial, 10, (gain,))
    assert not median.record(4, 10, (0.55,))  # the median of the five is 0.6
    assert median.promotable() is None
    assert median.promotable(last_call=True) is None
    assert median.crowded_out(30) == []
    assert median.crowded_out(10) == [4]
    assert median.crowded_out(10) == []
    assert median.record(5, 10, (0.65,))


def test_the_median_itself_goes_on():
    median = Median(RUNGS, grace=1)
    for trial, gain in enumerate((0.1, 0.9)):
        median.record(trial, 10, (gain,))
    assert median.record(2, 10, (0.5,))
    assert median.record(3, 10, (0.5,))


def test_what_counts_is_the_best_so_far():
    median = Median(RUNGS, grace=1)
    median.record(0, 10, (0.9,))
    for trial in (1, 2, 3):
        median.record(trial, 10, (0.5,))
        median.record(trial, 30, (0.6,))
    assert median.record(0, 30, (0.2,))  # it has been at 0.9


def test_about_half_go_on():
    rng = random.Random(0)
    median = Median(RUNGS)
    went_on = sum(median.record(trial, 10, (rng.random(),)) for trial in range(400))
    assert 180 < went_on < 230


# Hyperband


def test_the_brackets_begin_later_and_later_and_the_last_never_stops_a_trial():
    hyperband = Hyperband(RUNGS, eta=3)
    by_bracket = {}
    for trial in range(200):
        by_bracket.setdefault(hyperband.bracket(trial), []).append(trial)
    assert sorted(by_bracket) == [0, 1, 2, 3]
    for bracket, trials in by_bracket.items():
        first, second, third = trials[0], trials[1], trials[2]
        for i, rung in enumerate(RUNGS):
            fresh = Hyperband(RUNGS, eta=3)
            alone = fresh.record(first, rung, (0.5,))
            assert alone == (i < bracket)  # one that is compared waits until others are worse
            if not alone:
                fresh.record(second, rung, (0.4,))
                fresh.record(third, rung, (0.3,))
                assert fresh.promotable() == first


def test_trials_are_shared_out_so_that_brackets_cost_alike():
    hyperband = Hyperband(RUNGS, eta=3)
    counts = Counter(hyperband.bracket(trial) for trial in range(590))
    # (4 / (s + 1)) * 3^s for s = 3, 2, 1, 0
    shares = {0: 27.0, 1: 12.0, 2: 6.0, 3: 4.0}
    for bracket, share in shares.items():
        assert counts[bracket] == pytest.approx(590 * share / 49, abs=1.5)
    early = Counter(hyperband.bracket(trial) for trial in range(12))
    assert set(early) == {0, 1, 2, 3}  # every bracket has its first trial soon


def test_the_bracket_of_a_trial_depends_on_its_number_alone():
    forward = Hyperband(RUNGS, eta=3)
    order = [forward.bracket(trial) for trial in range(50)]
    assert Hyperband(RUNGS, eta=3).bracket(49) == order[49]
    backward = Hyperband(RUNGS, eta=3)
    assert [backward.bracket(trial) for trial in reversed(range(50))] == order[::-1]


def test_trials_are_compared_within_their_bracket_only():
    hyperband = Hyperband(RUNGS, eta=3)
    first = [trial for trial in range(60) if hyperband.bracket(trial) == 0]
    second = [trial for trial in range(60) if hyperband.bracket(trial) == 1]
    for i, trial in enumerate(second[:6]):
        hyperband.record(trial, 30, (0.9 + i / 100,))
    assert not hyperband.record(first[0], 30, (0.1,))
    for trial in first[1:3]:
        hyperband.record(trial, 30, (0.05,))
    assert (
        hyperband.promotable(last_call=False) == first[0]
    )  # the others of its bracket are worse, whatever another bracket has


def test_places_are_shared_by_the_brackets():
    hyperband = Hyperband(RUNGS, eta=3, places=8)
    trials = [trial for trial in range(100) if hyperband.bracket(trial) == 0]
    for i, trial in enumerate(trials[:10]):
        hyperband.record(trial, 10, (1 - i / 100,))
    lost = hyperband.crowded_out(10)
    assert lost
    assert len(lost) >= 10 - 2 - 3  # two places for each of four brackets, and three that went on
    assert hyperband.crowded_out(31) == []


@pytest.mark.parametrize("eta", [2, 3])
def test_at_the_last_call_a_trial_of_each_bracket_comes_to_its_end(eta):
    hyperband = Hyperband(RUNGS, eta)
    at = dict.fromkeys(range(30), 0)
    rng = random.Random(eta)
    gains = {trial: rng.random() for trial in at}

    def train(trial):
        while at[trial] < len(RUNGS):
            goes_on = hyperband.record(trial, RUNGS[at[trial]], (gains[trial],))
            at[trial] += 1
            if not goes_on:
                return

    for trial in at:
        train(trial)
    while (trial := hyperband.promotable(last_call=True)) is not None:
        hyperband.send(trial)
        train(trial)
    ended = {hyperband.bracket(trial) for trial in at if at[trial] == len(RUNGS)}
    assert ended == {hyperband.bracket(trial) for trial in at}


def test_a_worker_to_spare_goes_on_with_the_best_of_the_bracket_that_stops_the_most():
    hyperband = Hyperband(RUNGS, eta=3)
    first = [trial for trial in range(40) if hyperband.bracket(trial) == 0][:3]
    second = next(trial for trial in range(40) if hyperband.bracket(trial) == 1)
    assert hyperband.runner_up() is None
    for trial, gain in zip(first, (0.5, 0.9, 0.7), strict=True):
        hyperband.record(trial, 10, (gain,), spare=True)  # they send nobody on
    assert hyperband.promotable() is None
    assert hyperband.runner_up() == first[1]
    assert [hyperband.leads(trial) for trial in first] == [False, True, False]
    hyperband.record(second, 30, (0.1,))
    assert hyperband.leads(second)  # of its own bracket
    for trial in first:
        hyperband.leave(trial)
    assert hyperband.runner_up() == second


def test_the_median_rule_has_nobody_for_a_worker_to_spare():
    median = Median(RUNGS, grace=1)
    for trial, gain in enumerate((0.1, 0.9, 0.5, 0.2)):
        median.record(trial, 10, (gain,))
    assert median.runner_up() is None
    assert [median.leads(trial) for trial in range(4)] == [True, True, True, False]
