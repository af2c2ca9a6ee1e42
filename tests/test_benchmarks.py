"""The benchmarks' machinery on the smallest sizes: what is written follows from what was measured."""

import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from autoft.records import Report, TrialConfig, TrialRecord, TrialState
from benchmarks import cost, engine, material, overhead, recording, results, simulation
from benchmarks.world import World, search


def written(folder, name):
    content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert (folder / f"{name}.md").read_text(encoding="utf-8").startswith(f"# {name}\n")
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return content


def test_figures_are_medians_with_their_spread(tmp_path):
    results.write(
        "some",
        {"ratio": [3.0, 1.0, 2.0, 10.0]},
        runs=[{"x": 1}],
        constants={"interval": [-0.1, 0.2]},
        targets={"ratio": ">= 2.0"},
        tables=[results.Table("Rows", ("a", "b"), [("one", 0.123456)])],
        plot=lambda figure: figure.subplots().plot([1, 2]),
        folder=tmp_path,
    )
    content = written(tmp_path, "some")
    assert content["figures"] == {"ratio": 2.5, "ratio_spread": [1.0, 10.0], "interval": [-0.1, 0.2]}
    page = (tmp_path / "some.md").read_text(encoding="utf-8")
    assert "| `ratio` | 2.5 | 1 … 10 | >= 2.0 | yes |" in page
    assert "| one | 0.123 |" in page


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_figure_that_is_no_number_is_refused(tmp_path, values):
    with pytest.raises(ValueError, match="ratio"):
        results.write("some", {"ratio": values}, runs=[], folder=tmp_path)
    with pytest.raises(ValueError, match="other"):
        results.write("some", {"ratio": [1.0]}, runs=[], targets={"other": ">= 1"}, folder=tmp_path)


def test_the_machine_is_described_without_its_name_or_a_path():
    import socket

    text = json.dumps(results.machine())
    assert "torch" in text and "cores" in text
    assert socket.gethostname() not in text.split('"')
    assert "/home" not in text and "/root" not in text and "/work" not in text


@pytest.fixture(scope="module")
def small_space():
    with pytest.MonkeyPatch.context() as patch:
        space = {**material.SPACE, "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
        patch.setattr(material, "SPACE", space)
        yield space


@pytest.fixture(scope="module")
def recorded(tiny_job, tiny_bert, small_space, tmp_path_factory):
    """Real curves of the tiny model."""
    job = replace(tiny_job, rungs=(8, 30, 60), patience=10**6, cache=str(tmp_path_factory.mktemp("cache")))
    curves = [
        recording.record(job, TrialConfig(**knobs, max_length=64))
        for knobs in recording.draws([(str(tiny_bert), 4, 8)])
    ]
    content = {"rows": 120, "metric": "accuracy", "blocks": {str(tiny_bert): 4}, "curves": curves}
    path = tmp_path_factory.mktemp("curves") / "tiny.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_curves_are_recorded_whole(recorded):
    curves = json.loads(recorded.read_text(encoding="utf-8"))["curves"]
    assert len({(curve["learning_rate"], curve["freeze_depth"]) for curve in curves}) == 8
    for curve in curves:
        assert curve["ended"] == "horizon"
        assert curve["samples"][-1] == curve["epochs"] * 120
        assert len(curve["samples"]) == len(curve["value"]) == len(curve["loss"])
        assert curve["train"] > 0 and curve["evaluate"] > 0


def test_a_recorded_configuration_gets_its_own_curve(recorded, small_space):
    world = World.load(recorded, small_space)
    curve = json.loads(recorded.read_text(encoding="utf-8"))["curves"][3]
    config = TrialConfig(**{knob: curve[knob] for knob in recording._KNOBS})
    for samples, value in zip(curve["samples"], curve["value"], strict=True):
        assert world.report(config, samples, 1.0, 1.0).value == pytest.approx(value, abs=1e-3)
    between = replace(config, learning_rate=config.learning_rate * 1.3)
    values = [c["value"][-1] for c in json.loads(recorded.read_text(encoding="utf-8"))["curves"]]
    assert min(values) <= world.report(between, between.epochs * 120, 1.0, 1.0).value <= max(values)


def test_a_simulated_search_obeys_its_bounds(recorded, small_space):
    world = World.load(recorded, small_space)
    common = {"rungs": (32, 96, 288), "eta": 3, "sampler": "random", "seed": 0}
    whole = search(world, **common, workers=3, trials=12)
    assert (whole.trials, whole.most) == (12, 3)
    assert whole.calls > 12 and whole.decided > 0
    assert [value for _, value in whole.rising] == sorted(value for _, value in whole.rising)
    short = search(world, **common, workers=3, trials=None, budget=whole.seconds / 2)
    assert short.seconds <= whole.seconds / 2
    again = search(world, **common, workers=3, trials=12)
    assert (again.seconds, again.rising) == (whole.seconds, whole.rising)


def test_simulation(recorded, small_space, tmp_path, monkeypatch):
    few = [setting for setting in simulation.grid() if setting["first_rung"] in (None, 0.25)]
    monkeypatch.setattr(simulation, "grid", lambda: few)
    simulation.main([
        "--rounds", "2", "--largest", "200", "--workers", "2", "5", "--seeds", "1",
        "--curves", str(recorded.parent), "--out", str(tmp_path),
    ])  # fmt: skip
    content = written(tmp_path, "simulation")
    runs = content["runs"]
    assert results.summary(simulation.figures(runs)) == content["figures"]
    each = {
        (run["round"], run["trials"]): run["seconds"] / run["trials"]
        for run in runs
        if run["kind"] == "decision" and run["workers"] == 2
    }
    ratios = [each[i, 200] / each[i, 100] for i in (0, 1)]
    assert content["figures"]["decision_ratio"] == pytest.approx(statistics.median(ratios))
    settings = [run for run in runs if run["kind"] == "setting"]
    assert len(settings) == len(few) == 8
    assert all(run["regret"] == sorted(run["regret"], reverse=True) for run in settings), "regret never rises"


@pytest.mark.slow
def test_engine(tiny_job, tiny_bert, tmp_path):
    job = replace(tiny_job, rungs=(), patience=10**6)
    # 120 rows don't make whole batches of 16: the engine takes a multiple.
    import pandas as pd

    folder = tmp_path / "data"
    folder.mkdir()
    for part in ("train", "validation"):
        pd.read_parquet(Path(job.data) / f"{part}.parquet")[:96].to_parquet(folder / f"{part}.parquet")
    runs = engine.measure(
        replace(job, data=str(folder)), str(tiny_bert), folder=tmp_path, rounds=2, threads=[1, 2], seconds=0.01
    )
    runs = json.loads(json.dumps(runs))
    found = engine.figures(runs)
    assert set(engine.TARGETS) - {"freeze4_cached_vs_uncached"} <= set(found)  # four blocks: depth 4 is all of them
    assert {"full_vs_default_2_threads", "full_vs_grouped_2_threads", "full_vs_default_as_searched"} <= set(found)
    first = next(run for run in runs if run["threads"] == 1)
    ours, default = first["contestants"]["ours"], first["contestants"]["default"]
    ratio = ours["tokens"] / ours["seconds"] / (default["tokens"] / default["seconds"])
    assert found["full_vs_default"][0] == pytest.approx(ratio)
    assert all(len(values) == 2 for values in found.values())
    # Six batches an epoch: without the first two, and without the last, after which the epoch is evaluated.
    assert ours["steps"] == default["steps"] == 3
    cached, suffix = first["contestants"]["cached 4"], first["contestants"]["suffix 4"]
    assert cached["steps"] == suffix["steps"] == 20 * 6 - 2 - 20
    results.write("engine", found, runs=runs, tables=engine.tables(runs), plot=engine.plot(runs), folder=tmp_path)
    assert "uncached 2" in (tmp_path / "engine.md").read_text(encoding="utf-8")
    assert written(tmp_path, "engine")["figures"]["full_vs_default"] == statistics.median(found["full_vs_default"])


def trial(number, *spans):
    """A trial that worked in each of the spans, with a report at the end of each."""
    seconds, reports = 0.0, []
    for i, (begin, end) in enumerate(spans):
        seconds += end - begin
        reports.append(Report(100 * (i + 1), 0.5, {"loss": 0.1}, 0.1, seconds, 1000.0 + end))
    return TrialRecord(number, TrialConfig("m", 1e-4, 16, 1, 0), TrialState.PRUNED, tuple(reports))


def test_idle_time_is_what_no_report_accounts_for():
    records = [trial(0, (0, 4), (5, 10)), trial(1, (2, 6), (6, 9)), trial(2, (10, 14))]
    found = overhead.shares(overhead.intervals(records), 2)
    # Both at work from 2 to 9, but for the second from 4 to 5; then one alone until 14.
    assert found["window"] == pytest.approx(12)
    assert found["tail"] == pytest.approx(5)
    assert found["idle_share_before_tail"] == pytest.approx(1 / 14)
    assert found["idle_share"] == pytest.approx(1 - (13 + 5) / 24)
    with pytest.raises(ValueError, match="never worked at the same time"):
        overhead.shares(overhead.intervals(records[:1]), 2)


def test_a_report_without_time_of_its_own_is_no_work():
    record = trial(0, (0, 4), (4, 4))
    assert overhead.intervals([record]) == [(1000.0, 1004.0)]


@pytest.mark.slow
def test_overhead_and_cost(tmp_path, recorded, small_space):
    """A real search and a real fine-tune, in processes of their own."""
    model, few = material.TINY, {"source": "asset:tweets", "limit": 300}
    # One worker: whether two of them ever work at once is up to the machine when a search is over in seconds.
    run = overhead.search(tmp_path, models=[model], data=few, trials=4, seed=1, workers=1)
    assert run["trials"] == 4 and run["reports"] == len(run["busy"]) > 3
    assert run["start_up"] > 0 and run["seconds"] > max(end for _, end in run["busy"])
    job = material.job(material.planned(few, (model,)), tmp_path / "data", validation=16)
    runs = {
        "searches": [run],
        "pauses": overhead.pauses(job, model, tmp_path, 2),
        "decisions": overhead.decisions([5, 10], tmp_path, recorded.parent),
    }
    found = overhead.figures(json.loads(json.dumps(runs)))
    assert set(overhead.TARGETS) <= set(found)
    assert all(0 < share < 1 for share in found["idle_share"])
    assert found["pause_resume_seconds"] == [one["pause"] + one["resume"] for one in runs["pauses"]]
    results.write("overhead", found, runs=runs, tables=overhead.tables(runs), plot=overhead.plot(runs), folder=tmp_path)
    assert written(tmp_path, "overhead")["figures"]["window_seconds"] == found["window_seconds"][0]

    both = [{
        "seed": 1,
        "search": {key: run[key] for key in ("seconds", "trials")} | {"accuracy": 0.5},
        "finetune": cost.finetune(tmp_path, model=model, data=few, epochs=1, seed=1),
    }]  # fmt: skip
    assert 0 < both[0]["finetune"]["accuracy"] <= 1
    told = cost.figures(both)
    assert told["search32_vs_one_finetune"] == [run["seconds"] / both[0]["finetune"]["seconds"]]
    results.write("cost", told, runs=both, tables=[cost.table(both)], plot=cost.plot(both), folder=tmp_path)
    assert written(tmp_path, "cost")["figures"]["finetune_seconds"] == both[0]["finetune"]["seconds"]


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="No module named"):
        cost.timed(["-m", "benchmarks.nothing_of_this_name"])
