"""What a person sees of a search on MLflow's own pages, on the way from the first page to the champion."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow_pages import (
    browser_page,
    follow,
    mlflow_server,
    open_search,
    read_model_version,
    show_artifact,
    show_children,
    show_curves,
    show_model,
)
from tracking_samples import BLOCKS, a_report, a_search, some_finals, some_trials, tiny_classifier, with_finals

from autoft import tracking
from autoft.tracking import tables

# What plotly does in a page: a script that draws.
PLOT = """<!doctype html><title>Learning curves</title><p>Learning curves</p>
<svg width="300" height="100" viewBox="0 0 300 100"></svg><p id="said"></p>
<script>
document.querySelector("svg").innerHTML = '<polyline fill="none" stroke="black" points="0,100 100,40 300,10"/>';
document.getElementById("said").textContent = document.querySelectorAll("polyline").length + " curve drawn";
</script>"""


@pytest.fixture
def published(tmp_path: Path) -> tracking.Published:
    """Two searches of one name: the second is better, and has a final round, pictures and a report."""
    target = tracking.Target(tracking.default_uri(tmp_path / "runs"), "autoft")
    model = tiny_classifier(tmp_path / "model")
    first = a_search("first", "reviews")
    mirror = tracking.Mirror(first, target, lambda: some_trials()[:1], blocks=BLOCKS)
    mirror.finish(a_report(first, test=0.70), model, "reviews", "text-classification")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "curves.html").write_text(PLOT)
    second = a_search(name="reviews-2")
    mirror = tracking.Mirror(second, target, some_trials, blocks=BLOCKS)
    report = with_finals(a_report(second))
    return mirror.finish(report, model, "reviews", "text-classification", lambda _: [pictures], finals=some_finals())


@pytest.mark.browser
@pytest.mark.slow
def test_a_person_finds_the_way_from_the_first_page_to_the_champion(tmp_path, published) -> None:
    with browser_page() as page, mlflow_server(published.tracking_uri) as base:
        text = open_search(page, base, "autoft", "reviews-2", tmp_path / "parent.png")
        assert "The winner is trial #0, minilm-l6, with 0.7312 macro_f1 on the test set" in text
        assert "95 % interval 0.7012 to 0.7601" in text
        assert "The winner is ahead of the plain recipe by 0.0271" in text
        assert "no difference is shown, for the interval holds zero" in text
        assert "12 test texts (4.0 %) stand in train, too." in text
        assert "reviews.csv (0d8e12)" in text, "the data set"
        assert "models:/reviews@champion" in text
        assert "#3 bert-tiny lr 2e-5 bs 16 freeze all" in text  # a child run
        assert "**" not in text and "&emsp;" not in text and "###" not in text, "the Markdown is drawn"

        stood = page.get_by_role("table").filter(has_text="the winner leads by").first
        rows = cells(stood)
        assert rows[0] == list(tables.ENTRANTS)
        assert [row[0] for row in rows[1:]] == ["#0", "#3", "plain recipe", "soup"]
        assert rows[3][4:] == ["0.7041", "0.6720 to 0.7350", "0.0271 (0.0098 to 0.0442)"]
        leaderboard = page.get_by_role("table").filter(has_text="rank").first
        rows = cells(leaderboard)
        assert rows[0] == list(tables.LEADERBOARD)
        assert [row[1] for row in rows[1:]] == ["#0", "#3", "#1", "#2"]
        assert rows[1] == ["1", "#0", "minilm-l6", "3.2e-4", "16", "3", "4", "0.6212", "complete", "480", "28 s"]

        winner = follow(page, "the winner's run")
        winner.get_by_role("heading", name="final: #0 seed 1 minilm-l6 lr 3.2e-4 bs 16 freeze 4").wait_for()
        winner.get_by_text("best validation macro_f1 0.525 at 480 samples").wait_for()
        text = show_curves(winner, "val_macro_f1", tmp_path / "curves.png")
        assert all(name in text for name in ("val_macro_f1", "val_loss", "train_loss", "Step"))
        assert "GenAI" in text and "Evaluation runs" not in text, "the menu is that for training"
        winner.close()

        assert "1 curve drawn" in show_artifact(page, "pictures/curves.html", tmp_path / "plot.png")

        page.get_by_role("tab", name="Overview").click()
        page.get_by_text("Show more", exact=True).first.click()
        version = follow(page, "registered model reviews, version 2")
        text = read_model_version(version, tmp_path / "version.png")
        assert "Champion: better than version 1 (search reviews): macro_f1 0.7312 against 0.7000" in text
        assert "95 % interval 0.7012 to 0.7601" in text and "@ champion" in text
        version.get_by_role("link", name="reviews", exact=True).first.click()
        text = show_model(version, base, "reviews", tmp_path / "model.png")
        assert "@ champion" in text and "@ previous" in text and "Version 2" in text

        text = show_children(page, base, published.experiment_id, "reviews-2", tmp_path / "children.png")
        assert all(f"#{number} " in text for number in range(4))
        assert text.count("final: ") >= 4
        for picture in ("parent", "curves", "plot", "version", "model", "children"):
            assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def cells(table) -> list[list[str]]:
    return [[cell.strip() for cell in row.inner_text().split("\t")] for row in table.get_by_role("row").all()]
