"""Who goes on from a rung, who waits, who is promoted."""

import itertools
import random

import pytest

from autoft.study.halving import Halving, default_rungs


def test_the_first_rung_lies_well_inside_the_first_epoch():
    for rows in (1_100, 2_402, 9_000, 1_000_000):
        rungs = default_rungs(rows, epochs=3, eta=3, batch_size=16)
        assert rungs[0] <= max(rows / 3, 768)
        assert all(b == 3 * a for a, b in itertools.pairwise(rungs))
        assert rungs[-1] < 3 * rows


def test_rungs_are_multiples_of_the_largest_batch():
    assert all(rung % 32 == 0 for rung in default_rungs(2_402, epochs=4, eta=3, batch_size=32))


def test_too_few_rows_for_a_rung_leave_none():
    assert default_rungs(20, epochs=1, eta=3, batch_size=32) == ()


def test_the_first_rung_leaves_time_to_begin_to_learn_however_few_the_rows_are():
    for batch_size in (8, 16, 32):
        assert default_rungs(300, epochs=4, eta=3, batch_size=batch_size)[:1] == (768,)
    assert default_rungs(2_000, epochs=4, eta=3, batch_size=64)[:1] == (16 * 64,)


def test_the_runner_up_is_the_best_that_waits_on_the_highest_rung():
    halving = Halving([10, 30], eta=3)
    assert halving.runner_up() is None
    halving.record(0, 10, (0.5,))
    halving.record(1, 10, (0.6,))
    assert halving.promotable() is None
    assert halving.runner_up() == 1
    halving.record(0, 30, (0.4,))
    assert halving.runner_up() == 0
    halving.leave(0)
    assert halving.runner_up() == 1


def test_who_got_there_on_a_spare_worker_is_ranked_but_sends_nobody_on():
    halving = Halving([10], eta=2)
    assert not halving.record(0, 10, (0.5,))
    assert not halving.record(1, 10, (0.6,), spare=True)
    assert halving.promotable() is None
    assert not halving.record(2, 10, (0.4,))
    assert halving.promotable() == 1


def test_a_trial_leads_as_long_as_nobody_is_better_at_its_last_rung():
    halving = Halving([10, 30], eta=3)
    assert not halving.leads(0)
    halving.record(0, 10, (0.5,))
    halving.leave(0)
    assert halving.leads(0)
    halving.record(1, 10, (0.6,))
    assert halving.leads(1) and not halving.leads(0)
    halving.record(0, 30, (0.1,))
    assert halving.leads(0)


def test_a_lone_trial_waits_until_others_show_that_it_is_good():
    halving = Halving([10, 30], eta=3)
    assert not halving.record(0, 10, (0.5,))
    assert halving.promotable() is None
    assert not halving.record(1, 10, (0.4,))
    assert not halving.record(2, 10, (0.3,))
    assert halving.promotable() == 0


def test_the_best_of_three_goes_on_at_once():
    halving = Halving([10], eta=3)
    halving.record(0, 10, (0.5,))
    halving.record(1, 10, (0.4,))
    assert halving.record(2, 10, (0.6,))
    assert halving.promotable() is None


def test_the_higher_rung_goes_first():
    halving = Halving([10, 30], eta=2)
    for trial, gain in enumerate((0.1, 0.2, 0.3, 0.4)):
        halving.record(trial, 10, (gain,))
    halving.record(0, 30, (0.9,))
    halving.record(1, 30, (0.8,))
    assert halving.promotable() == 0


def test_equal_gains_are_ranked_by_number():
    halving = Halving([10], eta=3)
    for trial in (2, 0, 1):
        halving.record(trial, 10, (0.5,))
    assert halving.promotable() == 0


def test_what_comes_second_decides_between_equals():
    halving = Halving([10], eta=3)
    for trial, loss in enumerate((0.7, 0.6, 0.8)):
        halving.record(trial, 10, (0.5, -loss))
    assert halving.promotable() == 1


def test_one_that_left_is_never_promoted_but_keeps_its_place():
    halving = Halving([10], eta=3)
    for trial, gain in enumerate((0.9, 0.5, 0.4)):
        halving.record(trial, 10, (gain,))
    halving.leave(0)
    assert halving.promotable() is None
    assert halving.promotable(last_call=True) is None


def test_one_that_was_sent_on_and_never_went_waits_where_it_was():
    halving = Halving((10, 30), 3)
    for trial, gain in enumerate((0.3, 0.2, 0.1)):
        halving.record(trial, 10, (gain,))
    for _ in range(2):  # once while its old entry is still there
        halving.leave(0)
        halving.wait(0)
        assert halving.promotable() == 0
    halving.leave(0)
    assert halving.runner_up() == 1
    halving.wait(0)
    halving.wait(7)  # never seen
    assert halving.promotable() == 0
    assert halving.crowded_out(10) == []


def test_at_the_last_call_every_rung_sends_one_on():
    halving = Halving([10, 30], eta=3)
    halving.record(0, 10, (0.5,))
    assert halving.promotable() is None
    assert halving.promotable(last_call=True) == 0


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_in_the_end_the_best_share_of_every_rung_has_gone_on(eta):
    rng = random.Random(eta)
    halving = Halving([1, eta], eta)
    gains = {trial: rng.random() for trial in range(100)}
    gone_on = {trial for trial, gain in gains.items() if halving.record(trial, 1, (gain,))}
    while (trial := halving.promotable(last_call=True)) is not None:
        halving.leave(trial)
        gone_on.add(trial)
    best = sorted(gains, key=gains.__getitem__, reverse=True)[: -(-100 // eta)]
    assert gone_on.issuperset(best)


SMALL, LARGE = 4e6, 2e7


def two_models(halving, samples, gains):
    """Three trials of each model by turns, the small ones worse; the numbers of those that go on at once."""
    trials = [
        (cost, gain) for pair in zip(*gains, strict=True) for cost, gain in zip((SMALL, LARGE), pair, strict=True)
    ]
    return [n for n, (cost, gain) in enumerate(trials) if halving.record(n, samples, (gain,), cost=cost)]


def promoted(halving, **options):
    found = []
    while (trial := halving.promotable(**options)) is not None:
        halving.leave(trial)
        found.append(trial)
    return found


def test_with_two_objectives_the_best_of_each_model_goes_on():
    halving = Halving([10, 30], eta=3)
    gone_on = two_models(halving, 10, [(0.3, 0.2, 0.1), (0.9, 0.8, 0.7)])
    assert sorted(gone_on + promoted(halving)) == [0, 1]


def test_among_trials_of_a_rank_the_better_score_goes_first():
    halving = Halving([10, 30], eta=6)
    gone_on = two_models(halving, 10, [(0.3, 0.2, 0.1), (0.9, 0.8, 0.7)])
    assert gone_on + promoted(halving) == [1]


def test_at_the_last_call_all_of_the_front_go_on():
    halving = Halving([10, 30], eta=6)
    gone_on = two_models(halving, 10, [(0.3, 0.2, 0.1), (0.9, 0.8, 0.7)])
    assert sorted(gone_on + promoted(halving, last_call=True)) == [0, 1]


def test_a_larger_model_that_is_no_better_is_behind():
    halving = Halving([10, 30], eta=3)
    gone_on = two_models(halving, 10, [(0.9, 0.8, 0.7), (0.7, 0.3, 0.2)])
    assert sorted(gone_on + promoted(halving)) == [0, 2]


def test_a_trial_leads_that_none_of_its_cost_or_less_is_better_than():
    halving = Halving([10], eta=3)
    halving.record(0, 10, (0.5,), cost=SMALL)
    halving.record(1, 10, (0.6,), cost=LARGE)
    assert halving.leads(0) and halving.leads(1)
    halving.record(2, 10, (0.6,), cost=SMALL)
    assert halving.leads(2) and not halving.leads(0) and not halving.leads(1)


def test_places_go_to_the_best_of_each_model():
    halving = Halving([10], eta=10, places=2)
    two_models(halving, 10, [(0.3, 0.2, 0.1), (0.9, 0.8, 0.7)])
    assert sorted(halving.crowded_out(10)) == [2, 3, 4, 5]
    assert halving.runner_up() == 1
