"""What a person sees of a search on MLflow's own pages."""

from __future__ import annotations

import pytest
from mlflow_pages import browser_page, mlflow_server, show_children, show_model, show_model_version, show_parent_run
from tracking_samples import BLOCKS, a_report, a_search, some_trials, tiny_classifier

from autoft import tracking
from autoft.tracking import description


@pytest.mark.browser
@pytest.mark.slow
def test_a_person_finds_verdict_leaderboard_trials_and_champion(tmp_path) -> None:
    uri = tracking.default_uri(tmp_path / "runs")
    mirror = tracking.Mirror(a_search(), tracking.Target(uri, "autoft"), some_trials, blocks=BLOCKS)
    model = tiny_classifier(tmp_path / "model")
    published = mirror.finish(a_report(a_search()), model, "reviews", "text-classification")
    experiment = published.experiment_id
    with browser_page() as page, mlflow_server(uri) as base:
        text = show_parent_run(page, base, experiment, published.run_id, tmp_path / "parent.png")
        assert "The winner is trial #0, minilm-l6, with 0.7312 macro_f1 on the test set" in text
        assert "95 % interval 0.7012 to 0.7601" in text
        table = page.get_by_role("table").filter(has_text="validation").first
        rows = [[cell.strip() for cell in row.inner_text().split("\t")] for row in table.get_by_role("row").all()]
        assert rows[0] == list(description._HEAD)
        assert [row[1] for row in rows[1:]] == ["#0", "#3", "#1", "#2"]
        assert rows[1] == ["1", "#0", "minilm-l6", "3.2e-4", "16", "3", "4", "0.6212", "complete", "480", "28 s"]
        assert "models:/reviews@champion" in text
        assert "#3 bert-tiny lr 2e-5 bs 16 freeze all" in text  # a child run

        link = table.get_by_role("link", name="#3", exact=True)
        with page.context.expect_page() as opened:
            link.click()
        opened.value.get_by_role("heading", name="#3 bert-tiny lr 2e-5 bs 16 freeze all").wait_for()
        opened.value.close()

        text = show_children(page, base, experiment, "reviews", tmp_path / "children.png")
        assert all(f"#{number} " in text for number in range(4))

        assert "@ champion" in show_model(page, base, "reviews", tmp_path / "model.png")
        text = show_model_version(page, base, "reviews", "1", tmp_path / "version.png")
        assert "95 % interval 0.7012 to 0.7601" in text and "@ champion" in text
        for picture in ("parent", "children", "model", "version"):
            assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
