"""The arithmetic of the benchmark `peers`, on small runs that are made up."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import figures, report, runs
from benchmarks.peers.contest import CONTESTANTS, DATA_SETS, LONGER, OURS, REFERENCE, order
from benchmarks.peers.environments import requirements
from benchmarks.peers.running import NoResultError, digest

SETTINGS = {"rows": 40, "trials": 2, "cores": 2}


def made_up(data_set="tweets", seed=0, contestant=OURS, **changes):
    fields = {
        "settings": SETTINGS,
        "wall": 20.0,
        "evaluations": ((5.0, 0, 0.6), (8.0, 1, 0.8), (9.0, 0, 0.7), (12.0, 1, 0.9)),
        "winner": {"model": "bert-tiny", "trial": 1},
        "validation": 0.9,
        "test_rows": (3, 7, 11, 12),
        "targets": "0101",
        "predictions": "0101",
    }
    return runs.Run(data_set, seed, contestant, **(fields | changes))


def test_best_so_far_rises_and_keeps_its_time():
    run = made_up(evaluations=((9.0, 0, 0.7), (5.0, 0, 0.6), (8.0, 1, 0.8), (12.0, 1, 0.8), (13.0, 1, 0.9)))
    assert figures.best_so_far(run) == [(5.0, 0.6), (8.0, 0.8), (13.0, 0.9)]
    assert figures.time_to(run, 0.6) == 5.0
    assert figures.time_to(run, 0.75) == figures.time_to(run, 0.8) == 8.0
    assert figures.time_to(run, 0.91) == float("inf")


def test_the_share_is_of_the_references_whole_wall_clock():
    reference = made_up(contestant=REFERENCE, wall=100.0, evaluations=((30.0, 0, 0.8), (60.0, 1, 0.7)))
    assert figures.reach_share(made_up(), reference) == pytest.approx(8 / 100)
    never = made_up(evaluations=((5.0, 0, 0.79),))
    assert figures.reach_share(never, reference) == pytest.approx((20 + 100) / 100)


def test_figures_of_several_cells_are_those_computed_by_hand():
    cells = [("tweets", 0, 30.0, 8.0), ("tweets", 1, 40.0, 4.0), ("rotten-tomatoes", 0, 50.0, 10.0)]
    found = []
    for data_set, seed, wall, ours in cells:
        found.append(made_up(data_set, seed, evaluations=((ours, 0, 0.9),), wall=10.0))
        found.append(made_up(data_set, seed, REFERENCE, wall=wall, evaluations=((wall - 1, 0, 0.9),)))
    found.append(made_up("tweets", 2))  # no reference yet: it counts nowhere
    numbers = figures.per_run(found)
    assert sorted(numbers["wall_ratio"]) == [3.0, 4.0, 5.0]
    assert sorted(numbers["reach_share"]) == pytest.approx([0.1, 0.2, 8 / 30])
    assert sorted(numbers["reach_share_tweets"]) == pytest.approx([0.1, 8 / 30])
    assert numbers["reach_share_rotten_tomatoes"] == pytest.approx([0.2])
    assert figures.per_run([made_up()]) == {}


def test_the_difference_is_pooled_over_rows():
    pairs = [
        made_up("tweets", 0, OURS, predictions="0101"),
        made_up("tweets", 0, REFERENCE, predictions="0100"),
        made_up("rotten-tomatoes", 0, OURS, test_rows=(1, 2), targets="11", predictions="10"),
        made_up("rotten-tomatoes", 0, REFERENCE, test_rows=(1, 2), targets="11", predictions="11"),
    ]
    difference = figures.compare(pairs)
    assert difference.mean == pytest.approx((1 - 1) / 6)
    assert sorted(difference.each) == pytest.approx([-0.5, 0.25])
    assert difference.low < 0 < difference.high
    assert figures.compare(pairs, REFERENCE, OURS).mean == pytest.approx(-difference.mean)
    assert figures.compare(pairs[:1]) is None


def test_the_interval_agrees_with_one_drawn_row_by_row():
    generator = random.Random(5)
    rows = tuple(range(200))
    targets = "".join(generator.choice("01") for _ in rows)

    def noisy(accuracy):
        flip = {"0": "1", "1": "0"}
        return "".join(digit if generator.random() < accuracy else flip[digit] for digit in targets)

    found = []
    for seed in (0, 1):  # the same test rows in both: they have to be drawn together
        found.append(made_up(seed=seed, test_rows=rows, targets=targets, predictions=noisy(0.9)))
        found.append(made_up(seed=seed, contestant=REFERENCE, test_rows=rows, targets=targets, predictions=noisy(0.8)))
    difference = figures.compare(found)
    gains = [
        [int(a) - int(b) for a, b in zip(ours.correct, other.correct, strict=True)]
        for ours, other in (found[:2], found[2:])
    ]
    means = []
    for _ in range(4000):
        drawn = generator.choices(rows, k=len(rows))
        means.append(sum(gains[0][i] + gains[1][i] for i in drawn) / (2 * len(rows)))
    means.sort()
    assert difference.low == pytest.approx(means[100], abs=0.01)
    assert difference.high == pytest.approx(means[3900], abs=0.01)


def test_runs_on_other_rows_are_not_compared():
    with pytest.raises(ValueError, match="different rows"):
        figures.compare([made_up(), made_up(contestant=REFERENCE, test_rows=(3, 7, 11, 13))])


def test_a_run_survives_its_file(tmp_path):
    run = made_up(remarks=("slow",), budget=12.5, versions={"torch": "2"})
    runs.save(run, tmp_path)
    assert runs.load_all(tmp_path, SETTINGS) == [run]
    assert [path.name for path in tmp_path.iterdir()] == ["tweets-s0-autoft.json"]


def test_runs_of_other_settings_are_refused(tmp_path):
    runs.save(made_up(), tmp_path)
    with pytest.raises(ValueError, match=r"tweets-s0-autoft\.json was made with"):
        runs.load_all(tmp_path, SETTINGS | {"trials": 16})
    runs.save(made_up(seed=1, settings=SETTINGS | {"rows": 2000}), tmp_path)
    with pytest.raises(ValueError, match=r"tweets-s1-autoft\.json was made with"):
        runs.load_all(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"predictions": "010"}, {"targets": "01010"}, {"test_rows": (1,)}, {"evaluations": ()}]
)
def test_a_run_that_is_not_whole_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match="tweets-s0-autoft"):
        made_up(**changes)
    path = runs.save(made_up(), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match="delete it to measure it again"):
        runs.load(path)


def test_events_become_a_run():
    events = [
        {"kind": "evaluation", "time": 1009.0, "trial": "b", "value": 0.7},
        {"kind": "evaluation", "time": 1004.5, "trial": "a", "value": 0.6},
        {"kind": "evaluation", "time": 1012.0, "trial": "a", "value": 0.8},
        {"kind": "retrain", "time": 1018.0, "seconds": 3.0},
        {"kind": "ready", "time": 1020.0},
        {"kind": "winner", "time": 1021.0, "params": {"model": "x"}, "validation": 0.8},
        {"kind": "remark", "time": 1021.0, "text": "slow"},
        {"kind": "versions", "time": 1021.0, "of": {"torch": "2"}},
        {"kind": "predictions", "time": 1022.0, "labels": ["pos", "neg", "pos"]},
    ]
    found = digest(events, 1000.0, ("neg", "pos"))
    assert found["evaluations"] == ((4.5, 0, 0.6), (9.0, 1, 0.7), (12.0, 0, 0.8))
    assert (found["wall"], found["retrain"], found["predictions"]) == (20.0, 3.0, "101")
    assert (found["winner"], found["validation"], found["remarks"]) == ({"model": "x"}, 0.8, ("slow",))
    with pytest.raises(NoResultError, match="ready"):
        digest([event for event in events if event["kind"] != "ready"], 1000.0, ("neg", "pos"))


def test_contestants_take_turns_and_those_with_a_budget_wait_for_the_reference():
    names = tuple(CONTESTANTS)
    forth, back = order(names, 0), order(names, 1)
    assert forth != back
    assert sorted(forth) == sorted(back) == sorted(names)
    assert (forth.index(OURS) < forth.index(REFERENCE)) != (back.index(OURS) < back.index(REFERENCE))
    for names in (forth, back):
        assert all(names.index(REFERENCE) < names.index(c.name) for c in CONTESTANTS.values() if c.budgeted)


def test_every_contestant_has_its_script_and_its_pins():
    folder = Path(report.__file__).parent / "runners"
    for contestant in CONTESTANTS.values():
        assert (folder / f"{contestant.runner}.py").is_file()
        if contestant.environment:
            lines = requirements(contestant.environment).read_text().splitlines()
            assert all("==" in line for line in lines if not line.startswith("#"))


def test_the_page_is_made_of_what_there_is(tmp_path):
    found = [
        made_up(data_set, seed, name, wall=10.0 * (1 + index))
        for data_set in DATA_SETS
        for seed in (0, 1)
        for index, name in enumerate((OURS, REFERENCE, "hf-random"))
        if (data_set, seed, name) != ("tweets", 1, REFERENCE)
    ]
    path = report.write(found, SETTINGS, tmp_path)
    content = json.loads(path.read_text())
    kept = content["figures"]
    assert (kept["wall_ratio"], kept["wall_ratio_spread"]) == (2.0, [2.0, 2.0])
    assert kept["reach_share"] == pytest.approx(12 / 20)
    assert (kept["test_difference"], kept["test_difference_interval"]) == (0.0, [0.0, 0.0])
    assert len(content["runs"]) == len(found)
    assert str(tmp_path) not in path.read_text()
    page = (tmp_path / "peers.md").read_text()
    assert "| tweets | 1 | hf-random |" in page
    assert (tmp_path / "peers.png").stat().st_size > 10_000


def test_figures_without_a_run_write_nothing(tmp_path):
    folders = [f"--{name}={tmp_path / name}" for name in ("runs", "results", "work")]
    command = [sys.executable, "-m", "benchmarks.peers", "--figures", *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "nothing is measured yet\n")
    assert not (tmp_path / "results").exists()


def test_the_search_that_goes_on_is_the_one_whose_time_to_reach_counts():
    reference = made_up(contestant=REFERENCE, wall=100.0, evaluations=((90.0, 0, 0.9),))
    short = made_up(contestant=OURS, wall=10.0, evaluations=((5.0, 0, 0.8),))
    longer = made_up(contestant=LONGER, wall=25.0, evaluations=((5.0, 0, 0.8), (20.0, 1, 0.95)))
    assert figures.per_run([reference, short])["reach_share"] == [pytest.approx(1.1)]
    assert figures.per_run([reference, short, longer])["reach_share"] == [pytest.approx(0.2)]
    assert figures.per_run([reference, short, longer])["wall_ratio"] == [pytest.approx(10.0)]
