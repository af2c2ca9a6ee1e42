"""The queries of docs/mlflow-queries.md, run exactly as they stand there, on a real store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tracking_samples import a_report, a_search, a_trial, some_finals, some_trials, tiny_classifier, with_finals
from tracking_store import Ledger

DOCUMENT = Path(__file__).parent.parent / "docs" / "mlflow-queries.md"


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The Python blocks by the heading they stand under; the first one, without a heading, as ``."""
    sections = re.split(r"^##+ ", f"\n{DOCUMENT.read_text(encoding='utf-8')}", flags=re.MULTILINE)
    found = {}
    for section in sections:
        heading = section.partition("\n")[0]
        for block in re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL):
            assert heading not in found, "a heading has one block"
            found[heading] = block
    return found


def test_every_query_of_the_document_gives_what_it_says(store, blocks, tmp_path, monkeypatch, capsys) -> None:
    import mlflow

    model = tiny_classifier(tmp_path / "model")

    def search(identity: str, name: str, trials, test: float, metric: str = "macro_f1", finals=(), **tags: str) -> str:
        record = a_search(identity, name, metric, **tags)
        report = a_report(record, test=test)
        report = with_finals(report) if finals else report
        mirror = store.mirror(Ledger(*trials), record)
        return mirror.finish(report, model, name, "text-classification", finals=finals).run_id

    reviews = search("a", "reviews", some_trials(), 0.7312, finals=some_finals())
    search("b", "reviews", [a_trial(0)], 0.70)
    search("c", "others", [a_trial(0)], 0.71, fingerprint="another", test_fingerprint="another")
    loss = search("d", "costs", [a_trial(0)], 0.31, "loss")
    search("e", "costs", [a_trial(0)], 0.52, "loss")
    store.mirror(Ledger(a_trial(0)), a_search("f", "running")).flush(60)

    monkeypatch.chdir(tmp_path)  # where runs/ lies
    said: dict[str, list[str]] = {}
    names: dict[str, object] = {}
    try:
        for heading, block in blocks.items():
            exec(compile(block, f"{DOCUMENT.name}: {heading}", "exec"), names)
            said[heading] = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    finally:
        mlflow.set_tracking_uri(None)

    assert said["The best search of each task"] == [
        "text-classification reviews macro_f1 0.7312",
        f"  test rows 7e57 run {reviews}",
        "text-classification costs loss 0.31",
        f"  test rows 7e57 run {loss}",
    ]
    assert said["All failed trials, and why"] == [
        "reviews #2 minilm-l6 lr 3.2e-4 bs 16 freeze 4 because: out of memory"
    ]
    same = said["All searches on this data set"]
    assert sorted(line.split()[0] for line in same) == ["costs", "costs", "reviews", "reviews", "running"]
    assert any("data/reviews.csv" in line and "The winner is trial #0, minilm-l6, with 0.7312" in line for line in same)
    trials = said["The trials of one search, the best first"]
    assert trials[0].startswith("#0 minilm-l6 lr 3.2e-4 bs 16 freeze 4 complete 0.62")
    assert len(trials) == 5, "of both searches of that name"
    assert said["The learning curve of the winner"][-1].startswith("480 samples 0.525")
    assert sorted(line.rpartition(" ")[0] for line in said["The final round"]) == [
        "final: #0 seed 1 minilm-l6 lr 3.2e-4 bs 16 freeze 4 trial-0",
        "final: #0 seed 2 minilm-l6 lr 3.2e-4 bs 16 freeze 4 trial-0",
        "final: #3 seed 1 bert-tiny lr 2e-5 bs 16 freeze all trial-3",
        "final: plain recipe seed 0 minilm-l6 lr 2e-5 bs 16 freeze 0 plain",
    ]
    champions = said["The champions"]
    assert sum(" champion " in line for line in champions) == 3
    assert any(line.startswith("reviews 2 0.7  Not the champion: version 1") for line in champions)
    assert any(line.startswith("costs 2 0.52  Not the champion") for line in champions)


def test_the_document_names_every_tag_that_is_set(store, tmp_path) -> None:
    record = a_search()
    finals = some_finals()
    store.mirror(Ledger(*some_trials()), record).finish(
        with_finals(a_report(record)), None, None, "text-classification", finals=finals
    )
    listed = set(re.findall(r"`((?:autoft\.|winner)[a-z_]*)`", DOCUMENT.read_text(encoding="utf-8")))
    used = {tag for run in store.runs() for tag in run.data.tags if not tag.startswith("mlflow.")}
    # What tells one child from the next is for autoft's own eyes.
    assert used - listed == {"autoft.trial", "autoft.final"}
    assert listed - used <= {"autoft.replaces"}
