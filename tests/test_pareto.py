"""Two objectives: who dominates whom, who stands on the front, who is handed over, and how it is told."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tracking_samples import BLOCKS, a_search, a_trial

from autoft.cli.front import front as on_screen
from autoft.errors import SpecError
from autoft.pareto import front, preferred
from autoft.records import Direction, TrialState
from autoft.report import build, render, write
from autoft.report.front import cost, pareto
from autoft.space import resolve
from autoft.spec import parse
from autoft.study.halving import Halving
from autoft.study.ranking import Ranking
from autoft.study.sampling import check_cmaes
from autoft.study.starting import starting_points

GAINS = st.integers(-3, 3).map(float)  # few, so that many are equal
COSTS = st.sampled_from([1.0, 2.0, 5.0])
SEEN = st.lists(st.tuples(GAINS, COSTS), min_size=1, max_size=30)


def dominates(one, other):
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def peeled(points):
    """Front after front taken away, as the definition has it."""
    found, left, rank = {}, set(range(len(points))), 0
    while left:
        first = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        found |= dict.fromkeys(first, rank)
        left, rank = left - first, rank + 1
    return [found[i] for i in range(len(points))]


@given(SEEN)
def test_a_ranking_orders_by_rank_then_gain_then_number(seen):
    ranking, keys = Ranking(), []
    for trial, (gain, price) in enumerate(seen):
        keys.append(((-gain, trial), price))
        ranking.add(*keys[-1])
        whole = peeled([(key[:-1], price) for key, price in keys])
        order = sorted(range(len(keys)), key=lambda i: (whole[i], keys[i]))
        assert [ranking.place(*keys[i]) for i in order] == list(range(len(keys)))
        assert ranking.best(5) == order[:5]
        leading = {i for i in order if ranking.leads(*keys[i])}
        assert leading <= {i for i in order if whole[i] == 0}
        assert len(leading) == ranking.leaders == len({keys[i][0][:-1] for i in order if whole[i] == 0})
    ranking.discard((9.0, 99), 1.0)
    assert len(ranking) == len(keys)
    ranking.discard(*keys[0])
    assert 0 not in ranking.best(len(keys))
    assert len(ranking) == len(keys) - 1


@given(SEEN, st.sampled_from([2, 3]), st.floats(0.5, 9))
def test_where_all_cost_the_same_nothing_changes(seen, eta, price):
    one, two = Halving([10], eta, places=4), Halving([10], eta, places=4)
    for trial, (gain, _) in enumerate(seen):
        assert one.record(trial, 10, (gain,)) == two.record(trial, 10, (gain,), cost=price)
        assert one.crowded_out(10) == two.crowded_out(10)
        assert one.promotable() == two.promotable()
        assert one.runner_up() == two.runner_up()
    assert one.promotable(last_call=True) == two.promotable(last_call=True)


MODELS = {"small": 1.0, "middle": 2.0, "large": 5.0}


def trials_of(worth):
    return [a_trial(n, best=value, model=model, reports=1) for n, (model, value) in enumerate(worth)]


WORTH = st.lists(st.tuples(st.sampled_from(sorted(MODELS)), st.integers(1, 6).map(lambda n: n / 8)), max_size=12)


@given(WORTH, st.sampled_from(Direction))
def test_nobody_is_better_than_the_front_and_everybody_else_is_worse(worth, direction):
    trials = trials_of(worth)
    found = front(trials, direction, MODELS)
    points = {t.number: ((-direction.gain(t.reports[0].value),), MODELS[t.config.model]) for t in trials}
    assert not any(dominates(points[a.number], points[b.number]) for a in trials for b in found)
    for trial in trials:
        mine = points[trial.number]
        assert any(points[t.number] == mine or dominates(points[t.number], mine) for t in found)
    prices = [MODELS[trial.config.model] for trial in found]
    assert prices == sorted(set(prices))


def test_with_one_objective_there_is_no_front():
    assert front(trials_of([("small", 0.5)]), Direction.MAXIMIZE, {}) == []


def test_a_trial_that_failed_stands_on_no_front():
    trials = trials_of([("small", 0.5), ("large", 0.6)])
    trials[0] = replace(trials[0], state=TrialState.FAILED)
    assert front(trials, Direction.MAXIMIZE, MODELS) == [trials[1]]


WORTHS = [("large", 0.92), ("middle", 0.91), ("small", 0.80), ("small", 0.90)]


@pytest.mark.parametrize(
    ("within", "order"),
    [(None, [0, 1, 3, 2]), (0.0, [0, 1, 3, 2]), (0.005, [1, 0, 3, 2]), (0.01, [3, 1, 0, 2]), (1, [3, 2, 1, 0])],
)
def test_the_cheapest_within_reach_of_the_best_is_handed_over(within, order):
    trials = trials_of(WORTHS)  # whose curves have come half-way: 0.46, 0.455, 0.40, 0.45
    assert [trial.number for trial in preferred(trials, Direction.MAXIMIZE, MODELS, within)] == order
    assert [trial.number for trial in preferred(trials, Direction.MAXIMIZE, {}, within)] == [0, 1, 3, 2]


@settings(max_examples=50)
@given(WORTH, st.floats(0, 0.5))
def test_what_is_handed_over_stands_on_the_front(worth, within):
    trials = trials_of(worth)
    order = preferred(trials, Direction.MAXIMIZE, MODELS, within)
    assert sorted(t.number for t in order) == [t.number for t in trials]
    assert order[:1] == [t for t in front(trials, Direction.MAXIMIZE, MODELS) if t in order[:1]]


# The spec


GOOD = {"task": "text-classification", "data": "reviews.csv"}


@pytest.mark.parametrize(
    ("search", "line"),
    [
        ({"against": "size"}, "search.against: found 'size'; input should be 'parameters' or 'latency'"),
        (
            {"against": "size", "within": 0.01},
            "search.against: found 'size'; input should be 'parameters' or 'latency'",
        ),
        ({"within": 0.01}, "search: `within` goes with `against`; name a second objective, or leave it out"),
        (
            {"against": "latency", "within": -1},
            "search.within: found -1; input should be greater than or equal to 0",
        ),
        ({"against": "latency", "within": float("inf")}, "search.within: found inf; input should be a finite number"),
    ],
)
def test_a_wrong_second_objective_is_said_in_a_line(search, line):
    with pytest.raises(SpecError) as caught:
        parse({**GOOD, "search": search})
    assert caught.value.problems == (line,)


def test_a_second_objective_is_read_back():
    spec = parse({**GOOD, "search": {"against": "parameters", "within": 0.01}})
    assert parse(spec.dump()) == spec
    assert "within" not in parse(GOOD).dump()["search"]


def make_space(**space):
    spec = parse({**GOOD, "space": {"model": ["small", "large"], **space}})
    return resolve(spec.space, spec.models, spec.per_model, {"small": 2, "large": 6}, seed=0)


def test_cmaes_has_one_objective():
    with pytest.raises(
        SpecError, match=r"^search.sampler: cmaes knows one objective, and `search.against` is a second"
    ):
        check_cmaes(make_space(learning_rate={"low": 1e-5, "high": 1e-3}), two=True)


def test_every_model_is_tried_as_a_whole_where_not_only_the_best_counts():
    space = make_space(
        learning_rate={"low": 1e-5, "high": 1e-3},
        batch_size=16,
        epochs=[1, 2, 3, 4],
        freeze_depth={"low": 0, "high": "all"},
    )
    blocks = {"small": 2, "large": 6}
    one = starting_points(space, ["large", "small"], blocks)
    two = starting_points(space, ["large", "small"], blocks, each=True)
    assert two[: len(one)] == one
    assert [(point["model"], point["freeze_depth"]) for point in two[len(one) :]] == [("small", 1)]


# The report


TRIALS = (
    a_trial(0, best=0.8, model="asset:bert-tiny"),
    a_trial(1, best=0.9),
    a_trial(2, best=0.7),
    a_trial(3, TrialState.FAILED, 0, model="asset:bert-tiny", reason="diverged"),
)
SIZES = {"asset:bert-tiny": 4_386_178.0, "asset:minilm-l6": 22_713_986.0}


def a_report(**more):
    report = build(
        a_search(),
        TRIALS,
        1,
        test=0.8,
        interval=(0.7, 0.9),
        test_metrics={"macro_f1": 0.8},
        baselines={},
        seconds=60.0,
        model_dir="runs/reviews/model",
        rows={"train": 100, "validation": 20, "test": 20},
        models={ref: {"name": ref.split(":")[1], "blocks": blocks} for ref, blocks in BLOCKS.items()},
    )
    return report | more


def screen(report):
    console = Console(width=160, record=True)
    for part in on_screen(report):
        console.print(part)
    return console.export_text()


def test_the_front_stands_in_every_report(tmp_path):
    report = a_report(**pareto(a_search(), "parameters", TRIALS, SIZES))
    write(report, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())["pareto"]
    assert told["axes"] == ["macro_f1", "parameters"]
    assert told["front"] == [0, 1]
    assert told["points"] == [
        {"trial": 1, "value": pytest.approx(0.7875), "cost": 22_713_986},
        {"trial": 0, "value": pytest.approx(0.7), "cost": 4_386_178},
        {"trial": 2, "value": pytest.approx(0.6125), "cost": 22_713_986},
    ]
    written = (tmp_path / "report.md").read_text()
    assert "| #0 | bert-tiny | 4.4 M | 0.7000 |" in written
    assert "| #1 (the winner) | minilm-l6 | 22.7 M | 0.7875 |" in written
    shown = screen(report)
    assert shown.index("#0 ") < shown.index("#1 (the winner)")
    assert "4.4 M" in shown


def test_with_one_objective_no_report_speaks_of_a_front():
    assert pareto(a_search(), None, TRIALS, {}) == {}
    assert "front" not in render(a_report()).lower()
    assert screen(a_report()) == ""


def test_it_is_said_why_the_best_score_is_not_handed_over():
    report = a_report(**pareto(a_search(), "parameters", TRIALS, SIZES, 0.1))
    assert "handed over" not in render(report) + screen(report)  # the winner is the best
    report["winner"]["trial"] = 0
    sentence = (
        "Trial 0 is handed over rather than trial 1, which scores best: it costs less, and scores lower by no more"
    )
    assert f"{sentence} than 0.1, as `search.within` asks for." in render(report)
    assert sentence in " ".join(screen(report).split())


def test_a_latency_is_told_in_milliseconds_of_this_machine():
    report = a_report(**pareto(a_search(), "latency", TRIALS, {"asset:bert-tiny": 1.3, "asset:minilm-l6": 12.0}))
    assert "| trial | model | ms per text | validation macro_f1 |" in render(report)
    assert "on this machine" in render(report)
    assert [cost(value, "latency") for value in (0.42, 12.0, 1300.0)] == ["0.42", "12", "1.3e+03"]
    assert [cost(value, "parameters") for value in (900.0, 4_386_178.0)] == ["900", "4.4 M"]
