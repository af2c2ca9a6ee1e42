"""Which version of a model is the champion, and why; read back from a real store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tracking_samples import a_report, a_search, a_trial, tiny_classifier
from tracking_store import Ledger

from autoft import tracking
from autoft.records import Direction
from autoft.tracking import Target, registry
from autoft.tracking.registry import Measured

ROWS = "7e57"


def measured(score: float | None, rows: str = ROWS, metric: str = "macro_f1", width: float = 0.01) -> Measured:
    interval = None if score is None else (score - width, score + width)
    return Measured("reviews", "text-classification", metric, "maximize", rows, score, interval)


@pytest.mark.parametrize(
    ("new", "champion", "moves", "why"),
    [
        (measured(0.7), None, True, "there was no other"),
        (measured(0.75), measured(0.70), True, "macro_f1 0.7500 against 0.7000 on the same test rows."),
        (measured(0.71), measured(0.70), True, "intervals overlap, so the lead may be chance"),
        (measured(0.70), measured(0.70), False, "not better: macro_f1 0.7000 against 0.7000"),
        (measured(0.69), measured(0.70), False, "not better"),
        (measured(0.90, rows="other"), measured(0.70), False, "measured on other test rows"),
        (measured(0.90, rows=""), measured(0.70, rows=""), False, "measured on other test rows"),
        (measured(0.90, metric="accuracy"), measured(0.70), False, "measured by macro_f1"),
        (measured(None), measured(0.70), False, "this one has no test score"),
        (measured(0.90), measured(None), False, "no test score to compare with"),
        (measured(None), None, True, "there was no other"),
    ],
)
def test_the_rule(new: Measured, champion: Measured | None, moves: bool, why: str) -> None:
    moved, reason = registry.decide(new, champion, "3")
    assert moved is moves
    assert why in reason
    if champion is not None:
        assert "version 3 (search reviews)" in reason


def test_a_smaller_loss_is_the_better_one() -> None:
    low, high = (replace(measured(score, metric="loss"), direction=str(Direction.MINIMIZE)) for score in (0.2, 0.4))
    assert registry.decide(low, high)[0] and not registry.decide(high, low)[0]


def test_what_is_written_on_a_version_is_read_back() -> None:
    for one in (measured(0.1 + 0.2), measured(None)):
        assert Measured.read(one.tags()) == one
    report = a_report(a_search())
    assert Measured.of(a_search(), report).interval == (0.7012, 0.7601)
    report["winner"]["test_interval"] = [None, None]
    report["winner"]["test"] = float("nan")
    assert Measured.of(a_search(), report) == replace(measured(None), interval=None)
    assert Measured.of(a_search(), {"winner": None}).score is None


def test_the_champion_moves_only_for_a_better_one_and_every_version_says_why(store, tmp_path) -> None:
    model = tiny_classifier(tmp_path / "model")

    def search(identity: str, test: float, **tags: str) -> tracking.Published:
        record = a_search(identity, **tags)
        mirror = store.mirror(Ledger(a_trial(0)), record)
        return mirror.finish(a_report(record, test=test), model, "reviews", "text-classification")

    def aliases() -> dict[str, int]:
        return store.client.get_registered_model("reviews").aliases

    first = search("first", 0.73)
    assert (first.champion, first.model_uri, aliases()) == (True, "models:/reviews@champion", {"champion": 1})

    worse = search("worse", 0.70)
    assert (worse.champion, worse.model_uri, aliases()) == (False, "models:/reviews/2", {"champion": 1})
    version = store.client.get_model_version("reviews", "2")
    assert version.tags["autoft.decision"] == worse.champion_reason
    assert "this one is not better: macro_f1 0.7000 against 0.7300 on the same test rows" in version.description
    assert 'set_registered_model_alias("reviews", "champion", "2")' in version.description
    assert "The winner is trial #0" in version.description
    assert "autoft.champion_since" not in version.tags
    assert "models:/reviews/2" in store.parent("worse").data.tags["mlflow.note.content"]

    other = search("other", 0.99, test_fingerprint="another")
    assert not other.champion and "other test rows" in other.champion_reason

    better = search("better", 0.80)
    assert (better.model_version, better.champion, aliases()) == ("4", True, {"champion": 4, "previous": 1})
    assert "better than version 1 (search reviews): macro_f1 0.8000 against 0.7300" in better.champion_reason
    former = store.client.get_model_version("reviews", "1")
    assert "autoft.champion_until" in former.tags
    assert former.description.startswith("Champion until version 4 was better.\n\nThe winner is trial #0")

    again = [search("worse", 0.70), search("better", 0.80), search("first", 0.73)]
    assert [one.champion for one in again] == [False, True, False]
    assert aliases() == {"champion": 4, "previous": 1}
    assert len(store.client.search_model_versions("name = 'reviews'")) == 4

    (champion,) = tracking.champions(store.target.uri)
    assert (champion.model, champion.version, champion.search, champion.search_id) == (
        "reviews",
        "4",
        "reviews",
        "better",
    )
    assert (champion.metric, champion.score, champion.interval) == ("macro_f1", 0.80, (0.77, 0.8289))
    assert champion.previous == "1"
    created = store.client.get_model_version("reviews", "4").creation_timestamp / 1000
    assert created - 1 <= champion.since <= created + 600

    store.client.set_registered_model_alias("reviews", "champion", "3")
    assert search("other", 0.99, test_fingerprint="another").champion_reason == "Champion: a person has made it so."
    assert search("better", 0.80).champion is False, "a person's choice stands until something is better on its rows"


def test_a_store_without_champions_has_none(store, tmp_path) -> None:
    assert tracking.champions(tracking.default_uri(tmp_path / "nowhere")) == []
    assert not (tmp_path / "nowhere").exists()
    store.client.create_registered_model("somebody's")
    assert tracking.champions(store.target.uri) == []


def test_a_store_that_does_not_answer_is_named() -> None:
    from autoft.errors import TrackingError

    uri = f"http://127.0.0.1:{tracking.free_port()}"
    with pytest.raises(TrackingError, match="refuses connections"):
        tracking.champions(uri)
    assert Target(uri, "").database is None
