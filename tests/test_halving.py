"""Who goes on from a rung, who waits, who is promoted."""

import random

import pytest

from autoft.study.halving import Halving, default_rungs


def test_the_first_rung_lies_well_inside_the_first_epoch():
    for rows in (1_200, 2_402, 9_000, 1_000_000):
        assert default_rungs(rows, epochs=3, eta=3, batch_size=16)[0] <= max(rows / 3, 768)


def test_rungs_grow_by_eta_up_to_the_first_epoch_and_then_stand_at_ends_of_epochs():
    assert default_rungs(100_000, epochs=4, eta=3, batch_size=32) == (4_000, 12_000, 36_000, 100_000, 300_000)
    assert default_rungs(2_402, epochs=4, eta=3, batch_size=32) == (768, 2_402, 7_206)
    assert default_rungs(2_402, epochs=3, eta=3, batch_size=32) == (768, 2_402)
    assert default_rungs(2_402, epochs=9, eta=2, batch_size=32) == (768, 1_536, 2_402, 4_804, 9_608, 19_216)


def test_no_rung_lies_close_before_the_end_of_the_first_epoch():
    assert default_rungs(1_000, epochs=4, eta=3, batch_size=32) == (1_000, 3_000)
    assert default_rungs(500, epochs=4, eta=3, batch_size=32) == (1_000,)


def test_a_first_rung_that_was_asked_for_stands_as_it_is():
    assert default_rungs(2_402, epochs=4, eta=3, batch_size=32, first=100) == (100, 300, 900, 2_402, 7_206)
    assert default_rungs(2_402, epochs=8, eta=3, batch_size=32, first=2_000) == (2_000, 4_804, 14_412)
    assert default_rungs(2_402, epochs=4, eta=3, batch_size=32, first=9_000) == (9_000,)


def test_rungs_within_an_epoch_are_multiples_of_the_largest_batch():
    assert all(rung % 32 == 0 for rung in default_rungs(20_000, epochs=1, eta=3, batch_size=32))


def test_too_few_rows_for_a_rung_leave_none():
    assert default_rungs(20, epochs=1, eta=3, batch_size=32) == ()
    assert default_rungs(200, epochs=4, eta=3, batch_size=32) == ()
    assert default_rungs(2_402, epochs=4, eta=3, batch_size=32, first=9_608) == ()


def test_the_first_rung_leaves_time_to_begin_to_learn_however_few_the_rows_are():
    for batch_size in (8, 16, 32):
        assert default_rungs(300, epochs=4, eta=3, batch_size=batch_size) == (900,)
        assert default_rungs(520, epochs=4, eta=3, batch_size=batch_size) == (1_040,)
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
def test_in_the_end_a_share_of_every_rung_has_gone_on_and_most_of_it_are_the_best(eta):
    rng = random.Random(eta)
    halving = Halving([1, eta], eta)
    gains = {trial: rng.random() for trial in range(100)}
    gone_on = {trial for trial, gain in gains.items() if halving.record(trial, 1, (gain,))}
    gone_on.update(promoted(halving, last_call=True))
    best = sorted(gains, key=gains.__getitem__, reverse=True)[: -(-100 // eta)]
    assert len(gone_on) == len(best)
    assert best[0] in gone_on
    assert len(gone_on.intersection(best)) > 0.7 * len(best)


def test_who_was_sent_on_too_early_takes_the_place_of_a_later_one():
    halving = Halving([10], eta=3)
    assert [halving.record(trial, 10, (0.1 * trial,)) for trial in range(6)] == [False, False, True, False, False, True]
    assert not halving.record(6, 10, (0.6,))  # the best of seven, of whom two have gone on
    assert halving.promotable() is None
    assert not halving.record(7, 10, (0.0,))
    assert not halving.record(8, 10, (0.0,))
    assert promoted(halving) == [6]
    assert halving.record(9, 10, (0.7,)) is False
    assert promoted(halving, last_call=True) == [9]


def test_the_best_of_a_rung_goes_on_at_the_last_call_whoever_has_gone_before():
    halving = Halving([10], eta=3)
    for trial in range(3):
        halving.record(trial, 10, (0.1 * trial,))
    halving.record(3, 10, (0.9,), spare=True)
    assert halving.promotable() is None
    assert promoted(halving, last_call=True) == [3]


def test_who_goes_on_with_a_spare_worker_takes_no_place():
    halving = Halving([10], eta=3)
    for trial, gain in enumerate((0.3, 0.2, 0.1)):
        halving.record(trial, 10, (gain,))
    assert promoted(halving, last_call=True) == [0]
    halving.send(halving.runner_up())  # 1, which none of three can have earned
    for trial in (3, 4, 5):
        halving.record(trial, 10, (0.9,))
    assert promoted(halving) == [3]


def test_one_that_was_sent_on_and_never_went_gives_its_place_back():
    halving = Halving([10], eta=3)
    for trial, gain in enumerate((0.3, 0.2, 0.1)):
        halving.record(trial, 10, (gain,))
    for _ in range(2):
        assert promoted(halving) == [0]
        halving.wait(0)


@pytest.mark.parametrize(("gone", "next_one"), [("withdraw", [3]), ("leave", [])])
def test_the_place_of_one_that_failed_is_free(gone, next_one):
    halving = Halving([10], eta=3)
    for trial, gain in enumerate((0.1, 0.2, 0.3)):
        halving.record(trial, 10, (gain,))  # 2 goes on at once
    getattr(halving, gone)(2)  # it failed, or ended further on
    gone_on = [trial for trial, gain in ((3, 0.4), (4, 0.0)) if halving.record(trial, 10, (gain,))]
    assert gone_on + promoted(halving) == next_one


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
        halving.send(trial)
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
