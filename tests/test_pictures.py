"""The pictures: what they show is what the search did, and both renderers draw it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_report import HOSTILE, LABELS, RUNGS, WINNER, full_report, full_trials

from autoft.records import Direction, Report, TrialConfig, TrialRecord, TrialState, ranked
from autoft.report.pictures import describe, interactive, still, write_pictures
from autoft.report.pictures.classes import FEW, calibration, confusion_matrix, confusions
from autoft.report.pictures.cost import front, score_against_cost
from autoft.report.pictures.drawing import PICTURES
from autoft.report.pictures.importances import comparable, importances, weigh
from autoft.report.pictures.parallel import BEST, CROWD, parallel_coordinates
from autoft.report.pictures.picture import Line, Marker, Picture, Stroke, Tone, log_axis
from autoft.report.pictures.search import best_so_far, learning_curves, without_pauses
from autoft.report.pictures.varied import varied

TRIALS = full_trials()
REPORT = full_report()
MAXIMIZE = Direction.MAXIMIZE


def line(picture: Picture | None, name: str) -> Line:
    assert picture is not None
    found = [one for one in picture.lines if name in one.name]
    assert len(found) == 1, [one.name for one in picture.lines]
    return found[0]


def heights(one: Line) -> list[float]:
    return [point[1] for point in one.points if point]


def flat(report: dict[str, Any], number: int, rate: float, value: float, **more: Any) -> TrialRecord:
    """A completed trial with one report at each of two milestones."""
    config = TrialConfig("asset:bert-tiny", rate, more.pop("batch", 16), more.pop("epochs", 1), 0)
    reports = tuple(Report(s, value, {}, 0.5, s / 100, report["started"] + s / 100) for s in (160, 480))
    return TrialRecord(number, config, more.pop("state", TrialState.COMPLETE), reports, "", report["started"], None)


# --- the best so far ---


def test_the_best_so_far_rises_to_the_best_of_all_trials() -> None:
    picture = best_so_far(REPORT, TRIALS, RUNGS)
    steps = heights(line(picture, "best so far"))
    best = ranked(TRIALS, MAXIMIZE)[0]
    assert steps == sorted(steps)
    assert (
        steps[-1] == max(entry.value for trial in TRIALS for entry in trial.reports) == REPORT["winner"]["validation"]
    )
    every = heights(line(picture, "report of a trial"))
    assert len(every) == sum(len(trial.reports) for trial in TRIALS if trial.state is not TrialState.FAILED)
    assert picture is not None
    assert f"After trial {best.number} (" in picture.caption
    assert f"nothing better than {steps[-1]:.4f} was found" in picture.caption


def test_the_caption_says_how_long_nothing_better_came() -> None:
    early = [flat(REPORT, 0, 1e-4, 0.9)]
    late = [replace(flat(REPORT, n, 1e-4, 0.8), reports=()) for n in (1, 2)]
    late = [
        replace(trial, reports=(Report(160, 0.8, {}, 0.5, 2, REPORT["started"] + 100 * trial.number),))
        for trial in late
    ]
    picture = best_so_far({**REPORT, "entrants": []}, [*early, *late], ())
    assert picture is not None
    assert picture.caption == (
        "After trial 0 (2 s) nothing better than 0.9000 was found, in another 3 min 18 s with reports of 3 trials."
    )


def test_the_best_so_far_falls_where_lower_is_better() -> None:
    picture = best_so_far({**REPORT, "direction": "minimize"}, TRIALS, RUNGS)
    steps = heights(line(picture, "best so far"))
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] == min(e.value for t in TRIALS if t.state is not TrialState.FAILED for e in t.reports)


def test_the_plain_recipe_is_a_line_to_be_overtaken() -> None:
    picture = best_so_far(REPORT, TRIALS, RUNGS)
    plain = next(one for one in REPORT["entrants"] if one["kind"] == "plain")
    assert picture is not None
    assert [rule.at for rule in picture.rules] == [plain["seeds"][0]["validation"]]
    assert "The plain recipe was overtaken after" in picture.caption
    hopeless = {**plain, "seeds": [{"seed": 0, "validation": 0.999}]}
    picture = best_so_far({**REPORT, "entrants": [hopeless]}, TRIALS, RUNGS)
    assert picture is not None and "Nothing overtook the plain recipe." in picture.caption


def test_a_pause_of_days_is_not_shown_as_work() -> None:
    day = 86_400.0
    assert without_pauses([10, 20, day, day + 10], 0, 40) == [10, 20, 30, 40]
    assert without_pauses([10, 20], 0, 100) == [10, 20]
    assert without_pauses([10, 20], None, None) == [0, 10]


# --- learning curves ---


def test_every_report_lies_on_one_learning_curve_and_every_rung_is_marked() -> None:
    picture = learning_curves(REPORT, TRIALS, RUNGS)
    assert picture is not None
    shown = sorted(point for one in picture.lines for point in one.points if point)
    assert shown == sorted((float(e.samples), e.value) for t in TRIALS for e in t.reports)
    assert [rule.at for rule in picture.rules] == list(RUNGS)
    winner = line(picture, "the winner")
    assert heights(winner) == [entry.value for entry in TRIALS[WINNER].reports]
    assert winner.width == max(one.width for one in picture.lines)
    pruned = sum(t.state is TrialState.PRUNED and t.samples <= RUNGS[0] for t in TRIALS)
    assert picture.caption.startswith(f"{pruned} of {len(TRIALS)} trials went no further than the first rung (160")


def test_hundreds_of_curves_need_no_legend_of_hundreds() -> None:
    picture = learning_curves(REPORT, full_trials(300), RUNGS)
    assert picture is not None and picture.named <= 8


# --- parallel coordinates ---


def test_each_trial_is_a_line_through_its_knobs_to_its_score() -> None:
    picture = parallel_coordinates(REPORT, TRIALS, RUNGS)
    assert picture is not None
    able = ranked(TRIALS, MAXIMIZE)
    assert picture.x.ticks[0][1] == "model"
    last = len(picture.x.ticks) - 1
    ends = [
        p[1] for one in picture.lines if one.name and one.name != "the winner" for p in one.points if p and p[0] == last
    ]
    values = [trial.best(MAXIMIZE).value for trial in able]  # type: ignore[union-attr]
    low, high = min(values), max(values)
    assert sorted(ends) == pytest.approx(sorted((value - low) / (high - low) for value in values))
    assert len([p for p in line(picture, "the best").points if p is None]) == round(len(able) / 4)


def test_the_caption_names_what_the_best_share() -> None:
    trials = [
        flat(REPORT, n, 3e-4 if n < 4 else 10 ** -(3 + n / 6), 0.9 - n / 100, batch=16 if n % 2 else 32)
        for n in range(16)
    ]
    picture = parallel_coordinates(REPORT, trials, ())
    assert picture is not None
    assert picture.caption == "The best 4 of 16 trials have in common: learning rate 3e-4."


def test_of_many_trials_some_are_shown() -> None:
    picture = parallel_coordinates(REPORT, full_trials(700), RUNGS)
    assert picture is not None
    assert len([p for p in line(picture, "the best").points if p is None]) == BEST
    crowd = line(picture, "of the other")
    shown = len([p for p in crowd.points if p is None])
    assert CROWD / 2 < shown <= CROWD and crowd.name.startswith(f"{shown} of the other 67")
    assert picture.caption.startswith(f"The best {BEST} of 699 trials ")


def test_a_knob_without_a_part_in_a_trial_is_passed_below() -> None:
    lora = replace(TRIALS[0].config, adapter="lora", lora_rank=4)
    mixed = [*TRIALS[1:9], replace(TRIALS[0], config=lora)]
    picture = parallel_coordinates(REPORT, mixed, RUNGS)
    assert picture is not None
    assert "passes below" in picture.caption
    assert picture.y.bounds is not None and picture.y.bounds[0] < -0.15
    assert min(y for one in picture.lines for y in heights(one)) < -0.05


# --- importances ---


def only_the_rate_matters(number: int) -> list[TrialRecord]:
    random = np.random.default_rng(0)
    rates = 10 ** random.uniform(-5, -3, size=number)
    return [
        flat(
            REPORT,
            n,
            float(rate),
            float(0.9 - 0.1 * abs(np.log10(rate) + 3.5)),
            batch=int(random.choice([16, 32, 64])),
            epochs=int(random.integers(1, 5)),
        )
        for n, rate in enumerate(rates)
    ]


def test_the_knob_that_matters_is_found_by_both_methods() -> None:
    trials = only_the_rate_matters(60)
    picture = importances(REPORT, trials, RUNGS)
    assert picture is not None
    assert picture.y.ticks[-1][1] == "learning rate"
    for bars in picture.bars:
        assert sum(bars.lengths) == pytest.approx(1)
        assert bars.lengths[-1] > 0.6
    assert picture.caption.startswith("Both methods put learning rate first")
    assert "It rests on the 60 of 60 trials that were completed" in picture.caption
    assert "hint" not in picture.caption


def test_importances_do_not_depend_on_chance() -> None:
    trials = only_the_rate_matters(20)
    values = {trial.number: trial.reports[-1].value for trial in trials}
    knobs = varied([trial.config for trial in trials])
    assert weigh(trials, values, knobs, MAXIMIZE) == weigh(trials, values, knobs, MAXIMIZE)


def test_a_few_trials_have_no_importances() -> None:
    assert importances(REPORT, only_the_rate_matters(7), RUNGS) is None
    assert importances(REPORT, [replace(t, reports=()) for t in TRIALS], RUNGS) is None


def test_pruned_trials_are_never_weighed_against_final_scores() -> None:
    values, rests_on = comparable(TRIALS, RUNGS, MAXIMIZE)
    complete = [trial for trial in TRIALS if trial.state is TrialState.COMPLETE]
    assert len(complete) < 8  # so all trials are compared where all have been
    assert values == {t.number: e.value for t in TRIALS for e in t.reports if e.samples == RUNGS[0]}
    assert "at the first rung, after 160 samples" in rests_on and f"only {len(complete)} were completed" in rests_on
    values, rests_on = comparable(full_trials(40), RUNGS, MAXIMIZE)
    assert set(values) == {trial.number for trial in full_trials(40) if trial.state is TrialState.COMPLETE}
    assert "what pruning stopped is not in it" in rests_on


# --- score against cost ---


@pytest.mark.parametrize("direction", list(Direction))
def test_nothing_on_the_front_is_beaten(direction: Direction) -> None:
    random = np.random.default_rng(3)
    points = [(float(c), float(v), TRIALS[0]) for c, v in random.integers(0, 12, size=(60, 2))]

    def beats(a: tuple[float, float, Any], b: tuple[float, float, Any]) -> bool:
        gains = direction.gain(a[1]) - direction.gain(b[1])
        return a[0] <= b[0] and gains >= 0 and (a[0] < b[0] or gains > 0)

    expected = {point[:2] for point in points if not any(beats(other, point) for other in points)}
    found = front(points, direction)
    assert {point[:2] for point in found} == expected and len(found) == len(expected)


def test_cost_is_seconds_unless_the_search_had_another() -> None:
    picture = score_against_cost(REPORT, TRIALS, RUNGS)
    assert picture is not None
    assert picture.x.title.startswith("training of the trial, seconds")
    winner = line(picture, "the winner").points[0]
    assert winner == (TRIALS[WINNER].seconds, REPORT["winner"]["validation"])
    tiny = max((t for t in TRIALS if t.config.model == "asset:bert-tiny"), key=lambda t: t.reports[-1].value).number
    sizes = {"asset:bert-tiny": 4.4e6, "asset:minilm-l6": 22e6}
    able = ranked(TRIALS, MAXIMIZE)
    points = [{"trial": t.number, "value": t.reports[-1].value, "cost": sizes[t.config.model]} for t in able]
    two = {**REPORT, "pareto": {"axes": ["macro_f1", "parameters"], "front": [tiny, WINNER], "points": points}}
    picture = score_against_cost(two, TRIALS, RUNGS)
    assert picture is not None
    assert picture.x.title == "parameters of the model"
    assert [point[0] for point in line(picture, "Pareto").points if point] == [4.4e6, 22e6]
    assert "22 million parameters" in picture.caption and "pruned" not in picture.caption


def test_the_caption_says_what_most_of_the_way_costs() -> None:
    values = ((1, 0.5), (2, 0.84), (3, 0.87), (5, 0.86), (9, 0.9))
    trials = [
        replace(
            flat(REPORT, n, 1e-4 * (n + 1), value),
            reports=(Report(160, value, {}, 0.5, float(seconds), REPORT["started"] + seconds),),
        )
        for n, (seconds, value) in enumerate(values)
    ]
    picture = score_against_cost(REPORT, trials, ())
    assert picture is not None
    assert picture.caption.startswith(
        "For 4 of 5 trials there is none that is both better and cheaper. Trial 2 gets nine tenths of the way from the "
        "worst score to the best (0.8700) for 3 s; the best, trial 4, has 0.9000 for 9 s."
    )
    picture = score_against_cost(REPORT, [trials[0], trials[4]], ())
    assert picture is not None and "for less, none gets nine tenths of the way" in picture.caption


# --- the winner's answers ---


def test_the_confusion_matrix_shows_the_counts_and_names_the_commonest_mistake() -> None:
    picture = confusion_matrix(REPORT, TRIALS, RUNGS)
    counts = np.array(REPORT["confusion"])
    assert picture is not None and picture.cells is not None
    assert np.array(picture.cells.texts, dtype=int).tolist() == counts.tolist()
    assert np.array(picture.cells.shades).sum(1) == pytest.approx(np.ones(len(LABELS)))
    number, true, said = confusions(counts.tolist())[0]
    off = counts - np.diag(np.diag(counts))
    assert number == off.max() and off[true, said] == number
    assert f"takes “{LABELS[true]}” for “{LABELS[said]}”: {number} of {counts[true].sum()}" in picture.caption
    assert picture.y.bounds == (3.5, -0.5)  # the first label is on top, as in a table


def test_many_classes_are_shaded_without_numbers() -> None:
    labels = [f"intent {i}" for i in range(77)]
    report = {**REPORT, "labels": labels, "confusion": np.diag([3] * 76 + [0]).tolist()}
    picture = confusion_matrix(report, TRIALS, RUNGS)
    assert picture is not None and picture.cells is not None
    assert picture.cells.texts == () and picture.x.ticks == ()
    assert "commonest mistake" not in picture.caption
    assert still.png(picture).startswith(b"\x89PNG")


def test_calibration_shows_the_bins_and_sets_apart_those_of_few_rows() -> None:
    picture = calibration(REPORT, TRIALS, RUNGS)
    for name, key in (("before", "bins_before"), ("after", "bins")):
        bins = [one for one in REPORT["calibration"][key] if one["rows"]]
        points = [(one["confidence"], one["accuracy"]) for one in bins if one["rows"] >= FEW]
        assert list(line(picture, f"{name} calibration").points) == points
        few = [one for one in picture.lines if f"{name}, fewer" in one.name]  # type: ignore[union-attr]
        assert sum(len(one.points) for one in few) == len(bins) - len(points)
    assert picture is not None
    assert (
        f"{REPORT['calibration']['ece_after']:.3f} (before: {REPORT['calibration']['ece_before']:.3f})"
        in picture.caption
    )


# --- drawing ---


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    found, notes = describe(REPORT, TRIALS, RUNGS)
    assert notes == []
    assert [picture.key for picture in found] == list(PICTURES)
    return found


def test_every_picture_says_what_to_see_and_has_its_units(pictures: list[Picture]) -> None:
    for picture in pictures:
        assert picture.caption.endswith(".") and "nan" not in picture.caption
        assert picture.x.title
        assert picture.y.title or picture.y.hidden or picture.bars


def test_series_can_be_told_apart_without_colours(pictures: list[Picture]) -> None:
    for picture in pictures:
        named = [one for one in picture.lines if one.name]
        for a, b in combinations(named, 2):
            assert (a.stroke, a.marker, a.width) != (b.stroke, b.marker, b.width), (picture.key, a.name, b.name)
        assert len({bars.hatched for bars in picture.bars}) == len(picture.bars)


def test_a_browser_gets_the_points_of_the_description(pictures: list[Picture]) -> None:
    for picture in pictures:
        drawn = json.loads(interactive.as_json(picture))
        traces = [trace for trace in drawn["data"] if trace["type"] == "scatter"]
        assert len(traces) == len(picture.lines)
        for one, trace in zip(picture.lines, traces, strict=True):
            assert [p[0] if p else None for p in one.points] == trace["x"]
            assert [p[1] if p else None for p in one.points] == trace["y"]
        assert drawn["layout"]["xaxis"]["title"]["text"] == picture.x.title


def test_a_still_shows_the_points_of_the_description(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    plotted: list[tuple[list[float], list[float]]] = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, **k: (plotted.append((x, y)), plot(self, x, y, **k))[1])
    for picture in pictures:
        plotted.clear()
        still.png(picture)
        assert len(plotted) == len(picture.lines)
        for one, (x, y) in zip(picture.lines, plotted, strict=True):
            nan = (float("nan"), float("nan"))
            np.testing.assert_array_equal(np.array([point or nan for point in one.points]).T, np.array([x, y]))


def test_a_still_has_ink_and_is_twice_as_wide_as_a_browser_draws(pictures: list[Picture]) -> None:
    from PIL import Image

    for picture in pictures:
        image = Image.open(io.BytesIO(still.png(picture)))
        assert image.width == 1520 and image.height > 2 * picture.height
        shades = np.asarray(image.convert("L"))
        assert 0.005 < (shades < 128).mean() < 0.5


@pytest.mark.parametrize(
    "label", [HOSTILE, r"$\frac{", "<a href='https://example.org'>x</a>", "a\nb\x1b[2J", "日本語", "&lt;"]
)
def test_a_label_is_text_and_nothing_else(label: str) -> None:
    labels = (label, *LABELS[1:])
    report = full_report(labels)
    picture = confusion_matrix(report, TRIALS, RUNGS)
    assert picture is not None
    assert still.png(picture).startswith(b"\x89PNG")
    text = interactive.as_json(picture)
    assert "<a" not in text and "<script" not in text and "\\u001b" not in text


def test_a_log_axis_has_round_ticks() -> None:
    axis = log_axis("samples", 160, 2880)
    assert [text for _, text in axis.ticks] == ["200", "500", "1,000", "2,000"]
    assert [text for _, text in log_axis("seconds", 0.5, 4000).ticks] == ["1", "10", "100", "1,000"]


def test_a_picture_without_a_sentence_is_refused() -> None:
    axis = log_axis("samples", 1, 10)
    with pytest.raises(ValueError, match="caption"):
        Picture("a", "A", "", axis, axis)
    with pytest.raises(ValueError, match="texts"):
        Line("a", ((0, 0),), Stroke.SOLID, Marker.NONE, Tone.FIRST, texts=("x", "y"))


# --- in the folder of a search ---


def test_the_pictures_are_written_and_listed(tmp_path: Path) -> None:
    entries, notes = write_pictures(REPORT, TRIALS, RUNGS, tmp_path)
    assert notes == []
    assert [entry["key"] for entry in entries] == list(PICTURES)
    assert json.loads(json.dumps(entries)) == entries
    files = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert files == sorted(f"{key}.{ending}" for key in PICTURES for ending in ("json", "png"))


def test_a_picture_that_fails_costs_a_note_and_not_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "best-so-far.png").write_bytes(b"of an earlier report")
    broken = {**REPORT, "confusion": [[1, "x"], [2]], "labels": ["a", "b"]}
    png = still.png

    def full(picture: Picture) -> bytes:
        if picture.key == "best-so-far":
            raise OSError(28, "No space left on device")
        return png(picture)

    monkeypatch.setattr(still, "png", full)
    entries, notes = write_pictures(broken, TRIALS, RUNGS, tmp_path)
    keys = [entry["key"] for entry in entries]
    assert keys == [key for key in PICTURES if key not in ("confusion-matrix", "best-so-far")]
    assert len(notes) == 2 and "No space left on device" in notes[1]
    assert all(note.startswith("the picture ") for note in notes)
    assert not (tmp_path / "pictures" / "best-so-far.png").exists()  # the one of the earlier report would be a lie


def test_a_report_of_before_the_finals_has_the_pictures_of_its_search() -> None:
    keys = ("entrants", "selection", "comparisons", "calibration", "classes", "confusion", "mistakes", "cost")
    old = {key: value for key, value in REPORT.items() if key not in keys}
    found, notes = describe(old, TRIALS, ())
    assert notes == []
    assert {picture.key for picture in found} == set(PICTURES) - {"confusion-matrix", "calibration", "importances"}


def test_a_search_without_reports_has_no_pictures(tmp_path: Path) -> None:
    bare = [replace(trial, reports=()) for trial in TRIALS]
    old = {**REPORT, "confusion": None, "calibration": None}
    assert write_pictures(old, bare, RUNGS, tmp_path) == ([], [])
    assert not (tmp_path / "pictures").exists()
    one, notes = describe(old, TRIALS[:1], RUNGS)
    assert notes == [] and {picture.key for picture in one} == {"best-so-far", "learning-curves"}
