"""The final round, the data and the files of a search in MLflow; read back from a real store."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tracking_samples import (
    BLOCKS,
    a_report,
    a_search,
    a_trial,
    some_finals,
    some_trials,
    with_finals,
)
from tracking_store import Ledger, Store, flush

from autoft.tracking import description, tables, verdict
from autoft.tracking.finals import entrants_of


def finals_of(store: Store) -> dict[str, object]:
    found = [run for run in store.runs() if run.data.tags["autoft.kind"] == "final"]
    by_name = {run.info.run_name: run for run in found}
    assert len(by_name) == len(found)
    return by_name


def publish(store: Store, report=None, finals=(), **more):
    mirror = store.mirror(Ledger(*some_trials()))
    report = with_finals(a_report(a_search())) if report is None else report
    return mirror.finish(report, None, None, "text-classification", finals=finals, **more)


def test_each_training_of_the_final_round_is_a_child_once(store) -> None:
    for _ in range(2):
        publish(store, finals=some_finals())
    finals = finals_of(store)
    assert {name: run.data.tags["autoft.entrant"] for name, run in finals.items()} == {
        "final: #0 seed 1 minilm-l6 lr 3.2e-4 bs 16 freeze 4": "trial-0",
        "final: #0 seed 2 minilm-l6 lr 3.2e-4 bs 16 freeze 4": "trial-0",
        "final: #3 seed 1 bert-tiny lr 2e-5 bs 16 freeze all": "trial-3",
        "final: plain recipe seed 0 minilm-l6 lr 2e-5 bs 16 freeze 0": "plain",
    }
    parent = store.parent()
    for run in finals.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED" and run.data.tags["autoft.state"] == "complete"
        assert "autoft.trial" not in run.data.tags
        assert [step for step, _ in store.curve(run, "val_macro_f1")] == [160, 320, 480]
        assert len(store.curve(run, "best_val_macro_f1")) == 1
        assert (run.data.tags["autoft.samples"], run.data.tags["autoft.seconds"]) == ("480", "28.5")
    assert set(store.children()) == {0, 1, 2, 3}
    (winner,) = [run for run in store.runs() if run.data.tags.get("winner") == "true"]
    assert winner.info.run_name == "final: #0 seed 1 minilm-l6 lr 3.2e-4 bs 16 freeze 4"
    assert parent.data.tags["autoft.winner_run"] == winner.info.run_id
    assert (
        f"[the winner's run](#/experiments/1/runs/{winner.info.run_id}?workflowType=machine_learning)"
        in parent.data.tags["mlflow.note.content"]
    )


def test_a_later_final_round_stands_beside_the_first(store) -> None:
    publish(store, finals=some_finals())
    later = replace(a_trial(0, freeze=2, lr=1e-3), started=1_790_009_000.0)
    flush(store.mirror(Ledger(*some_trials())))
    publish(store, finals=[later])
    finals = finals_of(store)
    assert len(finals) == 5
    assert finals["final: plain recipe seed 0 minilm-l6 lr 1e-3 bs 16 freeze 2"].data.params["freeze_depth"] == "2"


def test_a_finalist_that_is_the_plain_recipe_keeps_its_name_for_its_repeats() -> None:
    trials = [a_trial(0, freeze=0, lr=2e-5), a_trial(1)]
    finals = [
        a_trial(0, freeze=0, lr=2e-5),
        *(replace(a_trial(1), config=replace(trial.config, seed=1)) for trial in trials),
    ]
    assert entrants_of(finals, trials, {}) == ("plain", "trial-0", "trial-1")
    named = {"entrants": [{"name": "trial-1", "kind": "finalist", "trial": 1}]}
    assert entrants_of(finals, trials, named) == ("plain", "plain", "trial-1")


def test_the_search_says_its_outcome_in_tags_and_numbers(store) -> None:
    publish(store, finals=some_finals())
    tags, metrics = store.parent().data.tags, store.parent().data.metrics
    assert tags["autoft.verdict"].startswith(
        "The winner is trial #0, minilm-l6, with 0.7312 macro_f1 on the test set (95 % interval 0.7012 to 0.7601). "
        "The winner is ahead of the plain recipe by 0.0271"
    )
    assert (tags["autoft.against_plain"], tags["autoft.against_runner_up"]) == ("better", "no difference shown")
    assert (tags["autoft.entrant"], tags["autoft.winner"]) == ("trial-0", "0")
    assert metrics["test_score"] == metrics["test_macro_f1"] == 0.7312
    assert metrics["lead_over_plain"] == 0.0271
    assert tags["autoft.seconds"] == "412.0"
    info = store.parent().info
    assert info.end_time - info.start_time >= 412_000, "scoring belongs to a search"


def test_the_data_are_logged_once_with_their_fingerprint_and_rows(store) -> None:
    flush(store.mirror(Ledger()))
    flush(store.mirror(Ledger()))
    (data,) = store.parent().inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("reviews.csv", "0d8e12")
    profile = json.loads(data.dataset.profile)
    assert profile == {"num_rows": 2400, "train": 1800, "validation": 300, "test": 300, "fingerprint": "0d8e12"}
    assert json.loads(data.dataset.source) == {"uri": "data/reviews.csv"}
    long = a_search("long", fingerprint="f" * 64, data="http://me:secret@host/x.csv", rows="not json")
    flush(store.mirror(Ledger(), long))
    (data,) = store.parent("long").inputs.dataset_inputs
    assert data.dataset.digest == "f" * 36 and "secret" not in str(data.dataset.source)
    assert "secret" not in str(store.parent("long").data.tags)


def test_a_search_from_before_gets_what_it_lacks(store) -> None:
    """Runs that an earlier version has made know nothing of kinds."""
    flush(store.mirror(Ledger(*some_trials())))
    whole = store.content("5f0c")
    for run in store.runs():
        for tag in ("autoft.kind", "autoft.search", "autoft.seconds"):
            if tag in run.data.tags:
                store.client.delete_tag(run.info.run_id, tag)
    flush(store.mirror(Ledger(*some_trials())))
    assert store.content("5f0c") == whole


def test_folders_are_kept_with_the_search_as_they_are(store, tmp_path) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    for name in ("curves.html", "curves.png", "deep/note.txt"):
        (pictures / name).write_text(name)
    report = tmp_path / "report.html"
    report.write_text("<p>report</p>")
    for _ in range(2):
        published = publish(store, artifacts=lambda _: [report, pictures])
    run = published.run_id
    assert {entry.path for entry in store.client.list_artifacts(run)} == {"report.html", "pictures"}
    assert {entry.path for entry in store.client.list_artifacts(run, "pictures")} == {
        "pictures/curves.html",
        "pictures/curves.png",
        "pictures/deep",
    }
    note = store.parent().data.tags["mlflow.note.content"]
    assert f"[report.html](#/experiments/1/runs/{run}/artifacts/report.html?workflowType=machine_learning)" in note
    assert f"[pictures](#/experiments/1/runs/{run}/artifacts/pictures?workflowType=machine_learning)" in note


# ---- words


def test_the_description_of_a_search_that_has_ended() -> None:
    search, report = a_search(), with_finals(a_report(a_search()))
    pages = description.pages("#/w", ("my reviews", "2"), {"report.html": "#/r"})
    text = description.describe(search, some_trials(), BLOCKS, {0: "#/0", 3: "#/3"}, report=report, pages=pages)
    assert text.index("The winner is trial #0") < text.index("### Entrants") < text.index("### Leaderboard")
    assert text.index("### Leaderboard") < text.index("### How the search went")
    top = text.partition("###")[0]
    assert (
        top.index("The winner is ahead of the plain recipe") < top.index("Go to ") < top.index("- The winner is ahead")
    )
    assert "no difference is shown, for the interval holds zero" in top
    assert (
        "[registered model my reviews, version 2](#/models/my%20reviews/versions/2?workflowType=machine_learning)"
        in text
    )
    rows = [
        [cell.removesuffix("&emsp;").strip() for cell in line.strip("| ").split(" | ")]
        for line in text.partition("### Entrants")[2].partition("###")[0].splitlines()
        if line.startswith("|")
    ]
    assert tuple(rows[0]) == tables.ENTRANTS
    assert [row[0] for row in rows[2:]] == ["**[#0](#/0)**", "[#3](#/3)", "plain recipe", "soup"]
    assert rows[3][1:] == [
        "bert-tiny",
        "0.6120 ± 0.0041",
        "3",
        "0.7288",
        "0.6980 to 0.7580",
        "0.0024 (-0.0061 to 0.0112)",
    ]
    assert "12 test texts (4.0 %) stand in train, too." in text and "31 texts stand twice" not in text
    assert "Best validation macro_f1 so far: 0.3550 after 10 s, 0.5325 after 20 s, 0.6212 after 30 s" in text
    assert "Best of each model: minilm-l6 0.6212 (3 trials), bert-tiny 0.4500 (1 trial)" in text
    assert "failed: out of memory (1)" in text
    assert "Rows: 1,800 train, 300 validation, 300 test" in text


def test_the_winner_may_be_a_soup_or_the_plain_recipe_and_a_second_reading_is_said() -> None:
    search, report = a_search(), with_finals(a_report(a_search()))
    report["winner"]["entrant"] = "soup"
    assert "The winner is the soup (averaged weights) of #0, #3**" in verdict.final_verdict(search, report)
    report["winner"]["entrant"] = "plain"
    report["test_read"]["earlier"] = 2
    assert "The winner is the plain recipe**" in verdict.final_verdict(search, report)
    assert "had been read 2 times before" in verdict.final_verdict(search, report)


@pytest.mark.parametrize("empty", [None, {}, []])
def test_a_report_without_any_of_it_is_described_all_the_same(empty) -> None:
    search, report = a_search(), with_finals(a_report(a_search()))
    for key in ("entrants", "selection", "comparisons", "test_read", "examination", "cost", "baselines"):
        report[key] = empty
    text = description.describe(search, some_trials(), BLOCKS, {}, report=report)
    assert "The winner is trial #0" in text and "### Entrants" not in text and "About the data" not in text
    report["winner"]["test"] = report["winner"]["test_interval"] = None
    assert "with **-** macro_f1" in description.describe(search, some_trials(), BLOCKS, {}, report=report)


def test_a_description_that_is_too_long_is_cut_at_the_leaderboard() -> None:
    search, report = a_search(), with_finals(a_report(a_search()))
    report["examination"]["findings"] *= 40
    report["entrants"] = report["entrants"] * 2
    trials = [a_trial(number, reason="a reason " * 60, model="org/" + "long" * 30) for number in range(300)]
    links = dict.fromkeys(range(300), "#/experiments/1/runs/" + "f" * 32)
    text = description.describe(search, trials, {}, links, report=report, usage="the end")
    assert len(text) <= 7800 and text.rstrip().endswith("the end")
    assert "and 35 more" in text and "more, in the list of child runs" in text
