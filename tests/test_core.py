"""The decisions of a search, driven without Ray, torch or a clock."""

import math
import random
import time

import pytest

from autoft.pareto import front
from autoft.records import Direction, Report, SearchRecord, TrialState, ranked
from autoft.space import PLAIN_RECIPE, resolve
from autoft.spec import parse
from autoft.study.core import Core, Decision
from autoft.study.halving import Halving, default_rungs
from autoft.study.ledger import Ledger
from autoft.study.policies import policy

ROWS = 2_400
RUNGS = default_rungs(ROWS, 3, 3, 32, first=608)


def make_space(**space):
    spec = parse({
        "task": "text-classification",
        "data": "x.csv",
        "space": {
            "model": ["tiny", "mini"],
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "batch_size": [16, 32],
            "epochs": {"low": 1, "high": 3},
            "freeze_depth": {"low": 0, "high": "all"},
            **space,
        },
    })  # fmt: skip
    return resolve(spec.space, spec.models, spec.per_model, {"tiny": 2, "mini": 6}, seed=0)


def make_ledger(path=None, direction=Direction.MAXIMIZE):
    return Ledger.create(path, SearchRecord("id", "n", "text-classification", "accuracy", direction, 0.0))


def make_core(ledger, *, trials=18, workers=1, seed=0, space=None, rungs=RUNGS, start=()):
    search = {"sampler": "tpe", "seed": seed, "workers": workers, "trials": trials, "start": start}
    return Core(ledger, space or make_space(), Halving(rungs, 3), **search)


def value(config, samples):
    """A world in which the larger model, a medium rate and more training are better."""
    return 0.8 - 0.1 * abs(math.log10(config.learning_rate) + 3.7) + 0.05 * (config.model == "mini") + samples / 1e5


class World:
    """Workers that train in no time, one milestone per turn."""

    def __init__(self, core, *, order=0, worth=value):
        self.core = core
        self.worth = worth
        self.seen = {}
        self.busy = []
        self.order = random.Random(order)
        self.most = 0
        self.log = []

    def run(self, turns=10_000, fails=lambda number, samples: False):
        for _ in range(turns):
            while (number := self.core.next()) is not None:
                self.busy.append(number)
                self.log.append(number)
                self.seen.setdefault(number, 0)
            self.most = max(self.most, len(self.busy))
            if self.core.done:
                return self
            number = self.busy.pop(self.order.randrange(len(self.busy)))
            config = self.core.config(number)
            horizon = config.epochs * ROWS
            milestones = sorted({r for r in RUNGS if r < horizon} | {ROWS * e for e in range(1, config.epochs + 1)})
            samples = next(m for m in milestones if m > self.seen[number])
            self.seen[number] = samples
            if fails(number, samples):
                self.core.fail(number, "diverged")
                continue
            got = self.worth(config, samples)
            decision = self.core.report(number, Report(samples, got, {"loss": 0.1}, 0.1, 1.0, time.time()))
            if samples == horizon:
                self.core.complete(number, "horizon")
            elif decision is Decision.CONTINUE:
                self.busy.append(number)
        raise AssertionError("the search never ended")


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_trial_ends_and_the_best_is_trained_to_its_horizon(workers):
    ledger = make_ledger()
    world = World(make_core(ledger, workers=workers)).run()
    world.core.settle()
    records = ledger.records()
    assert len(records) == 18
    assert world.most <= workers
    assert {record.state for record in records} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(record.reports and record.reason for record in records)
    best = max(records, key=lambda record: record.best(Direction.MAXIMIZE).value)
    assert best.state is TrialState.COMPLETE


def test_the_same_seed_and_one_worker_give_the_same_search():
    logs, records = [], []
    for order in (1, 2):
        ledger = make_ledger()
        logs.append(World(make_core(ledger), order=order).run().log)
        records.append([record.config for record in ledger.records()])
    assert logs[0] == logs[1]
    assert records[0] == records[1]
    other = make_ledger()
    World(make_core(other, seed=1)).run()
    assert [record.config for record in other.records()] != records[0]


def test_a_search_that_stops_and_goes_on_draws_the_trials_it_would_have_drawn(tmp_path):
    whole = make_ledger()
    World(make_core(whole, trials=12)).run()

    path = tmp_path / "study.db"
    ledger = make_ledger(path)
    core = make_core(ledger, trials=12)
    world = World(core)
    with pytest.raises(AssertionError):
        world.run(turns=7)
    core.interrupt()
    for number in sorted(core.running):
        core.report(number)
    before = len(ledger)
    assert 2 < before < 10
    ledger.close()

    again = Ledger.open(path)
    later = World(make_core(again, trials=12))
    later.seen = dict(world.seen)
    later.run()
    assert [record.config for record in again.records()] == [record.config for record in whole.records()]


def test_a_killed_search_goes_on_with_what_was_open(tmp_path):
    path = tmp_path / "study.db"
    ledger = make_ledger(path)
    core = make_core(ledger, workers=2)
    with pytest.raises(AssertionError):
        World(core).run(turns=9)
    open_before = [record.number for record in ledger.records() if record.state is TrialState.OPEN]
    assert open_before
    ledger.close()  # what a kill leaves: trials that are open

    again = Ledger.open(path)
    world = World(make_core(again, workers=2))
    world.seen = {record.number: record.samples for record in again.records()}
    world.run()
    world.core.settle()
    assert len(again.records()) == 18
    assert all(record.state is not TrialState.OPEN for record in again.records())


def test_failed_trials_never_go_on():
    ledger = make_ledger()
    world = World(make_core(ledger)).run(fails=lambda number, samples: number % 3 == 0)
    world.core.settle()
    failed = [record for record in ledger.records() if record.state is TrialState.FAILED]
    assert {record.number for record in failed} == {0, 3, 6, 9, 12, 15}
    assert all(world.log.count(record.number) == 1 for record in failed)


def test_the_plain_recipe_comes_first_where_the_space_holds_it():
    ledger = make_ledger()
    core = make_core(ledger, start=[PLAIN_RECIPE, {"learning_rate": 0.5}])
    config = core.config(core.next())
    assert (config.learning_rate, config.batch_size, config.epochs, config.freeze_depth) == (2e-5, 16, 3, 0)


def test_no_configuration_is_tried_twice_and_a_small_space_is_exhausted():
    space = make_space(learning_rate=[1e-4, 1e-3], batch_size=16, epochs=1, freeze_depth=[0, "all"])
    assert space.size == 8
    ledger = make_ledger()
    World(make_core(ledger, trials=None, space=space)).run()
    configs = [record.config for record in ledger.records()]
    assert len(configs) == len(set(configs)) == 8


def test_closing_pauses_everything_and_starts_nothing():
    ledger = make_ledger()
    core = make_core(ledger, workers=2)
    first, second = core.next(), core.next()
    core.close("out of time")
    assert core.report(first) is Decision.PAUSE
    report = Report(RUNGS[0], 0.9, {"loss": 0.1}, 0.1, 1.0, 0.0)
    assert core.report(second, report) is Decision.PAUSE
    assert core.next() is None
    assert core.done
    core.settle()
    assert [record.reason for record in ledger.records()] == [
        "out of time before its first report", f"out of time at {RUNGS[0]:,} samples"
    ]  # fmt: skip


def test_draining_starts_no_new_trial_but_finishes_those_that_lead():
    ledger = make_ledger()
    core = make_core(ledger, trials=None)
    world = World(core)
    with pytest.raises(AssertionError):
        world.run(turns=8)
    core.drain()
    before = len(ledger.records())
    world.run()
    core.settle()
    assert len(ledger.records()) == before
    assert any(record.state is TrialState.COMPLETE for record in ledger.records())


def test_a_report_that_comes_twice_counts_once():
    ledger = make_ledger()
    core = make_core(ledger, workers=3)
    for got in (0.5, 0.4, 0.3):
        number = core.next()
        report = Report(RUNGS[0], got, {"loss": 0.1}, 0.1, 1.0, 0.0)
        core.report(number, report)
        core.report(number, report)
    assert [len(record.reports) for record in ledger.records()] == [1, 1, 1]
    assert core.next() == 0, "the best of three, ranked among three and not among six"


def test_smaller_is_better_where_the_metric_says_so():
    ledger = make_ledger(direction=Direction.MINIMIZE)
    core = make_core(ledger, workers=3)
    for got in (0.5, 0.4, 0.3):
        core.report(core.next(), Report(RUNGS[0], got, {"loss": got}, 0.1, 1.0, 0.0))
    assert core.running == {2}


def reports_at(*samples, value=0.5):
    return [Report(at, value, {"loss": 0.1}, 0.1, 1.0, 0.0) for at in samples]


def test_points_to_start_from_are_tried_once_each():
    ledger = make_ledger()
    points = [{"learning_rate": 5e-5}, {"learning_rate": 5e-5, "batch_size": 16}, {"learning_rate": 1e-4}]
    World(make_core(ledger, trials=6, start=points)).run()
    rates = [record.config.learning_rate for record in ledger.records()]
    assert len(rates) == 6
    assert rates[:2] == [5e-5, 1e-4]


def test_a_pause_stands_whatever_is_reported_with_it():
    ledger = make_ledger()
    core = make_core(ledger, workers=3)
    first, second, third = core.next(), core.next(), core.next()
    core.report(second, *reports_at(RUNGS[0], value=0.9))
    core.report(third, *reports_at(RUNGS[0], value=0.8))
    # A checkpoint that was ahead of the ledger: the rung, and the end of the first epoch after it.
    assert core.report(first, *reports_at(RUNGS[0], ROWS, value=0.1)) is Decision.PAUSE
    assert first not in core.running
    assert len(ledger[first].reports) == 2


def test_only_the_best_that_wait_keep_their_place():
    ledger = make_ledger()
    core = make_core(ledger, workers=40, trials=40)
    numbers = [core.next() for _ in range(40)]
    for number in numbers:
        core.report(number, *reports_at(RUNGS[0], value=0.9 - number / 100))
    waiting = [record for record in ledger.records() if record.state is TrialState.OPEN]
    pruned = [record for record in ledger.records() if record.state is TrialState.PRUNED]
    assert len(waiting) == 8
    assert [record.number for record in waiting] == list(range(8))
    assert all("that went on from" in record.reason and record.reports for record in pruned)


def test_a_trial_whose_worker_died_counts_as_running_again():
    ledger = make_ledger()
    core = make_core(ledger, workers=2)
    first, second = core.next(), core.next()
    assert core.report(first, *reports_at(RUNGS[0])) is Decision.PAUSE
    core.retry(first)  # it died while it was being paused
    assert core.running == {first, second}
    assert core.next() is None
    core.fail(first, "its worker died, again and again")
    assert ledger[first].state is TrialState.FAILED
    assert core.running == {second}


def test_a_trial_that_has_ended_is_stopped_and_never_ends_twice():
    ledger = make_ledger()
    core = make_core(ledger, workers=2)
    first = core.next()
    core.fail(first, "broke")
    assert core.report(first, *reports_at(RUNGS[0])) is Decision.STOP
    core.complete(first, "horizon")
    assert ledger[first].state is TrialState.FAILED
    assert core.running == frozenset()


def test_a_trial_that_ends_at_a_rung_is_complete():
    ledger = make_ledger()
    core = make_core(ledger, workers=12, trials=12)
    numbers = [core.next() for _ in range(12)]
    for number in numbers[:-1]:
        core.report(number, *reports_at(RUNGS[0], value=0.9))
    core.complete(numbers[-1], "horizon", *reports_at(RUNGS[0], value=0.1))
    assert ledger[numbers[-1]].state is TrialState.COMPLETE


def test_an_interruption_goes_before_the_clock():
    core = make_core(make_ledger())
    core.close("out of time")
    core.interrupt()
    assert core.closed == "interrupted"


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_every_trial_ends_once_and_no_report_is_lost(tmp_path, seed):
    """Workers in any order, failures, dying workers, drivers that are killed and come back."""
    chance = random.Random(seed)
    path = tmp_path / "study.db"
    ledger = make_ledger(path)
    seen: dict[int, int] = {}
    told: dict[int, set[int]] = {}
    for _ in range(4):
        core = make_core(ledger, workers=chance.choice([1, 2, 5]), trials=15)
        world = World(core, order=seed)
        world.seen = seen
        try:
            world.run(turns=chance.randrange(5, 60), fails=lambda number, samples: chance.random() < 0.03)
            break
        except AssertionError:  # killed here
            for record in ledger.records():
                told[record.number] = {report.samples for report in record.reports}
            seen = {record.number: record.samples for record in ledger.records()}
            ledger.close()
            ledger = Ledger.open(path)
    else:
        world = World(make_core(ledger, workers=2, trials=15), order=seed)
        world.seen = seen
        world.run()
    world.core.settle()
    records = ledger.records()
    assert len(records) == 15
    assert all(record.state is not TrialState.OPEN and record.reason for record in records)
    for number, samples in told.items():
        assert samples <= {report.samples for report in records[number].reports}


def test_ten_thousand_trials_on_a_thousand_workers():
    """In virtual time: no worker waits while a trial could run, and the decisions stay right at scale."""
    import heapq

    ledger = make_ledger()
    core = Core(
        ledger, make_space(), Halving(RUNGS, 3, places=1_000), sampler="random", seed=0, workers=1_000, trials=10_000
    )
    clock, events, seen, most = 0.0, [], {}, 0

    def begin(number):
        config = core.config(number)
        horizon = config.epochs * ROWS
        milestones = {r for r in RUNGS if r < horizon} | {ROWS * e for e in range(1, config.epochs + 1)}
        samples = min(m for m in milestones if m > seen.get(number, 0))
        cost = (samples - seen.get(number, 0)) * (10 if config.model == "mini" else 1)
        heapq.heappush(events, (clock + cost, number, samples, horizon))

    while True:
        while (number := core.next()) is not None:
            begin(number)
        most = max(most, len(events))
        if not events:
            break
        clock, number, samples, horizon = heapq.heappop(events)
        seen[number] = samples
        report = Report(samples, value(core.config(number), samples), {"loss": 0.1}, 0.1, 1.0, clock)
        if samples == horizon:
            core.complete(number, "horizon", report)
        elif core.report(number, report) is Decision.CONTINUE:
            begin(number)
    assert core.done
    core.settle()
    records = ledger.records()
    assert most == 1_000
    assert len(records) == 10_000
    first = [record for record in records if len(record.reports) > 1]
    assert len(first) < 0.5 * len(records), "most trials end at the first rung"
    best = max(records, key=lambda record: record.best(Direction.MAXIMIZE).value)
    assert best.state is TrialState.COMPLETE


def test_until_the_clock_rings_those_who_wait_are_trained_on():
    for trials, goes_on in ((None, True), (3, False)):
        core = make_core(make_ledger(), workers=1, trials=trials)
        for gain in (0.3, 0.2, 0.1):
            assert report(core, core.next(), RUNGS[0], gain) is Decision.PAUSE
        core.drain()
        assert core.next() == 0
        core.complete(0, "horizon")
        assert core.done is not goes_on
        assert core.next() == (1 if goes_on else None)
        if goes_on:
            assert core.report(1) is Decision.CONTINUE
            core.complete(1, "horizon")
            assert core.next() == 2
            core.close("out of time")
            assert core.report(2) is Decision.PAUSE
            assert core.done


def test_the_clock_is_to_blame_for_those_who_waited_when_it_rang():
    ledger = make_ledger()
    core = make_core(ledger, workers=2)
    first = core.next()
    core.report(first, *reports_at(RUNGS[0], value=0.99))
    core.close("out of time")
    core.settle()
    assert ledger[first].reason == f"out of time, waiting at {RUNGS[0]:,} samples"


def report(core, number, samples, gain):
    return core.report(number, Report(samples, gain, {"loss": 0.1}, 0.1, 1.0, time.time()))


def a_leader_and_a_worker_to_spare():
    """Three trials on two workers, all past the first rung: the best goes on, and nobody else has earned it."""
    core = make_core(make_ledger(), trials=3, workers=2)
    for gain in (0.3, 0.2, 0.1):
        assert report(core, core.next(), RUNGS[0], gain) is Decision.PAUSE
    return core, core.next(), core.next()


def test_a_worker_that_nobody_needs_goes_on_with_the_best_of_those_who_wait():
    core, leader, spare = a_leader_and_a_worker_to_spare()
    assert (leader, spare) == (0, 1)
    assert core.report(spare) is Decision.CONTINUE
    assert report(core, spare, RUNGS[1], 0.9) is Decision.PAUSE
    assert core.next() == spare  # a worker is still free, and it waits on the highest rung


def test_a_trial_on_a_spare_worker_gives_way_when_the_others_are_done():
    core, leader, spare = a_leader_and_a_worker_to_spare()
    core.complete(leader, "horizon")
    assert core.report(spare) is Decision.PAUSE
    assert core.done


def test_a_trial_on_a_spare_worker_keeps_the_promotion_that_it_has_earned_meanwhile():
    core = make_core(make_ledger(), trials=4, workers=2)
    assert (core.next(), core.next()) == (0, 1)
    assert report(core, 0, RUNGS[0], 0.9) is Decision.PAUSE
    assert core.next() == 2
    assert report(core, 1, RUNGS[0], 0.8) is Decision.PAUSE
    assert core.next() == 3
    assert report(core, 2, RUNGS[0], 0.1) is Decision.PAUSE
    assert core.next() == 0  # the best of three
    core.complete(0, "horizon")
    assert core.next() == 1  # on a worker to spare
    assert report(core, 3, RUNGS[0], 0.05) is Decision.PAUSE  # of four, two go on now that nobody else will come
    assert core.report(1) is Decision.PAUSE
    assert core.next() == 1


def test_a_trial_on_a_spare_worker_stays_when_it_takes_the_lead():
    core, leader, spare = a_leader_and_a_worker_to_spare()
    report(core, spare, RUNGS[1], 0.9)
    assert core.next() == spare
    assert report(core, leader, RUNGS[1], 0.5) is Decision.PAUSE
    assert core.report(spare) is Decision.CONTINUE
    assert core.next() == leader  # now it is the one that has a worker to spare
    core.complete(spare, "horizon")
    assert core.report(leader) is Decision.PAUSE


def test_a_single_worker_is_never_spare():
    core = make_core(make_ledger(), trials=2, workers=1)
    for gain in (0.1, 0.2):
        report(core, core.next(), RUNGS[0], gain)
    assert core.next() == 1
    assert core.next() is None


def test_failures_after_a_promotion_leave_a_trial_that_is_trained_to_its_end():
    ledger = make_ledger()
    core = make_core(ledger, trials=6)
    gains = dict(enumerate((0.1, 0.2, 0.3, 0.6, 0.5, 0.4)))
    while (number := core.next()) is not None:
        if not ledger[number].reports and report(core, number, RUNGS[0], gains[number]) is Decision.PAUSE:
            continue
        if number in (2, 3):
            core.fail(number, "diverged")
        else:
            core.complete(number, "horizon")
    core.settle()
    assert TrialState.COMPLETE in {record.state for record in ledger.records()}


def test_a_search_that_goes_on_keeps_the_places_that_were_taken(tmp_path):
    gains = (0.5, 0.4, 0.3, 0.6, 0.2, 0.1)

    def begun(path):
        core = make_core(make_ledger(path), trials=20)
        for gain in gains[:3]:
            report(core, core.next(), RUNGS[0], gain)
        assert core.next() == 0
        return core

    def decided(core):
        assert report(core, core.next(), RUNGS[0], gains[3]) is Decision.PAUSE  # one of four has gone on already
        assert report(core, core.next(), RUNGS[0], gains[4]) is Decision.PAUSE
        assert report(core, core.next(), RUNGS[0], gains[5]) is Decision.PAUSE
        return core.next()

    for failed in (True, False):
        for resumed in (True, False):
            path = tmp_path / f"{failed}-{resumed}.db"
            core = begun(path)
            if failed:
                core.fail(0, "diverged")
            else:
                report(core, 0, RUNGS[1], 0.5)
            if resumed:
                core._ledger.close()
                core = make_core(Ledger.open(path), trials=20)
            if failed:
                assert report(core, core.next(), RUNGS[0], gains[3]) is Decision.CONTINUE  # its place is free
            else:
                assert decided(core) == 3


COSTS = {"tiny": 4e6, "mini": 2e7}


def lead_of_mini(lead):
    """A world in which all trials of the larger model are ahead of the smaller one's by more than all else."""
    return lambda config, samples: value(config, samples) / 10 + lead * (config.model == "mini")


def two_objectives(costs=COSTS, path=None, **options):
    ledger = make_ledger(path)
    ledger.costs = costs
    return ledger, make_core(ledger, **options)


def trained_to_the_end(ledger):
    return {record.config.model for record in ledger.records() if record.state is TrialState.COMPLETE}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_small_model_is_judged_among_its_equals_where_its_size_counts(workers):
    ledger, core = two_objectives(workers=workers)
    World(core, worth=lead_of_mini(0.5)).run()
    core.settle()
    assert trained_to_the_end(ledger) == {"tiny", "mini"}
    best = {record.config.model: record for record in reversed(ranked(ledger.records(), Direction.MAXIMIZE))}
    assert front(ledger.records(), Direction.MAXIMIZE, COSTS) == [best["tiny"], best["mini"]]
    assert {record.state for record in best.values()} == {TrialState.COMPLETE}

    alone, core = two_objectives({})  # with one worker: one to spare may train anybody
    World(core, worth=lead_of_mini(0.5)).run()
    core.settle()
    assert trained_to_the_end(alone) == {"mini"}


def test_a_larger_model_that_is_worse_has_no_claim():
    ledger, core = two_objectives(start=[{"model": "mini"}, {"model": "tiny"}], trials=24)
    World(core, worth=lead_of_mini(-0.5)).run()
    core.settle()
    assert trained_to_the_end(ledger) == {"tiny"}
    assert {record.config.model for record in front(ledger.records(), Direction.MAXIMIZE, COSTS)} == {"tiny"}


def test_the_same_cost_for_all_models_gives_the_promotions_of_one_objective():
    space = make_space(learning_rate=[1e-5, 1e-4, 1e-3], batch_size=16, epochs=[1, 3], freeze_depth=[0, 1])
    logs = []
    for costs in ({}, dict.fromkeys(COSTS, 7.0)):
        ledger = make_ledger()
        ledger.costs = costs
        core = Core(ledger, space, Halving(RUNGS, 3), sampler="random", seed=0, workers=2, trials=20)
        logs.append(World(core).run().log)
    assert logs[0] == logs[1]


def test_two_objectives_give_the_same_search_again_and_after_a_stop(tmp_path):
    logs, found = [], []
    for order in (1, 2):
        whole, core = two_objectives(trials=14)
        logs.append(World(core, order=order, worth=lead_of_mini(0.1)).run().log)
        found.append([record.config for record in whole.records()])
    assert logs[0] == logs[1]
    assert found[0] == found[1]

    path = tmp_path / "study.db"
    ledger, core = two_objectives(path=path, trials=14)
    world = World(core, worth=lead_of_mini(0.1))
    with pytest.raises(AssertionError):
        world.run(turns=9)
    core.interrupt()
    for number in sorted(core.running):
        core.report(number)
    assert 2 < len(ledger) < 12
    ledger.close()

    again = Ledger.open(path)
    assert again.costs == COSTS
    later = World(make_core(again, trials=14), worth=lead_of_mini(0.1))
    later.seen = dict(world.seen)
    later.run()
    assert [record.config for record in again.records()] == found[0]


@pytest.mark.parametrize("scheduler", ["hyperband", "median", "none"])
def test_every_scheduler_and_sampler_knows_two_objectives(scheduler):
    for sampler in ("tpe", "gp", "qmc", "random"):
        ledger, _ = two_objectives()
        rungs = policy(scheduler, RUNGS, 3)
        core = Core(ledger, make_space(), rungs, sampler=sampler, seed=0, workers=2, trials=14)
        World(core, worth=lead_of_mini(0.5)).run()
        core.settle()
        assert trained_to_the_end(ledger) == {"tiny", "mini"}, sampler


def test_a_sampler_of_two_objectives_keeps_drawing_both_models():
    drawn = []
    for costs in (COSTS, {}):
        ledger, core = two_objectives(costs, trials=60)
        World(core, worth=lead_of_mini(0.5)).run()
        models = [record.config.model for record in ledger.records()][20:]
        drawn.append(models.count("tiny") / len(models))
    assert drawn[0] > 0.25
    assert drawn[0] > 1.5 * drawn[1]
