"""MLflow's own pages in headless Chromium: what a person sees of a search, as text and as pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autoft import tracking

if TYPE_CHECKING:
    from playwright.sync_api import Page

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE = 60_000  # milliseconds
# On a first visit MLflow opens a panel for a chat with a language model, which takes a quarter of the page.
_NO_ASSISTANT = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""


def chromium() -> str:
    """Path of a Chromium; skips the test where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := os.environ.get("CHROMIUM") or shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine")


@contextmanager
def browser_page(width: int = 1440, height: int = 1000) -> Iterator[Page]:
    """A page of a browser that talks to this machine only."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
            context.route(
                "**/*",
                lambda route: route.continue_() if "://127.0.0.1" in route.request.url else route.abort(),
            )
            context.add_init_script(_NO_ASSISTANT)
            page = context.new_page()
            page.set_default_timeout(_PATIENCE)
            yield page
        finally:
            browser.close()


@contextmanager
def mlflow_server(uri: str) -> Iterator[str]:
    """MLflow's server on a store; its address."""
    port = tracking.free_port()
    process = tracking.serve(uri, port=port)
    assert not isinstance(process, str)
    url = f"http://127.0.0.1:{port}"
    try:
        assert tracking.wait_until_up(url, process), "MLflow's server did not come up"
        yield url
    finally:
        process.terminate()
        process.wait(60)


def open_search(page: Page, base: str, experiment: str, name: str, picture: Path) -> str:
    """Go from MLflow's first page to its experiments and on to the page of a search, by clicks; its text unfolded."""
    page.goto(base)
    page.get_by_text("Model training", exact=True).first.click()
    page.get_by_role("link", name=experiment, exact=True).first.click()
    row = page.get_by_role("row").filter(has_text=name)
    row.first.wait_for()
    row.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_text("The winner is").first.wait_for()
    return unfold(page, picture)


def unfold(page: Page, picture: Path) -> str:
    """Unfold the description of a run; the text of its page."""
    page.get_by_text("Show more", exact=True).first.click()
    return _picture(page, picture)


def follow(page: Page, link: str) -> Page:
    """Follow a link of a description, which opens a page of its own."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=link).first.click()
    return opened.value


def show_curves(page: Page, metric: str, picture: Path) -> str:
    """Open the curves of a run's page and take a picture; the text of the page."""
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_text(metric, exact=True).first.wait_for()
    page.locator(".js-plotly-plot .lines path.js-line").first.wait_for(state="attached")
    return _picture(page, picture)


def show_artifact(page: Page, path: str, picture: Path) -> str:
    """Open an artifact on a run's page, folder by folder, and take a picture; the text of the page in its frame."""
    page.get_by_role("tab", name="Artifacts").click()
    for part in path.split("/"):
        page.get_by_text(part, exact=True).first.click()
    frame = page.frame_locator("iframe").last
    frame.locator("body").wait_for()
    _picture(page, picture)
    return frame.locator("body").inner_text()


def show_parent_run(page: Page, base: str, experiment_id: str, run_id: str, picture: Path) -> str:
    """Open the page of a search, unfold its description, and take a picture; the text of the page."""
    page.goto(tracking.run_url(base, experiment_id, run_id))
    page.get_by_text("Leaderboard", exact=True).first.wait_for()
    return unfold(page, picture)


def show_children(page: Page, base: str, experiment_id: str, parent_name: str, picture: Path) -> str:
    """Open the list of runs, unfold the search, and take a picture; the text of the page."""
    page.goto(f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning")
    row = page.get_by_role("row").filter(has_text=parent_name)
    row.first.wait_for()
    row.get_by_role("button").first.click()
    page.get_by_text("#0 ").first.wait_for()
    return _picture(page, picture)


def show_model(page: Page, base: str, name: str, picture: Path) -> str:
    """Open the page of a registered model and take a picture; the text of the page."""
    page.goto(tracking.model_url(base, name))
    page.get_by_text("@ champion").first.wait_for()
    return _picture(page, picture)


def show_model_version(page: Page, base: str, name: str, version: str, picture: Path) -> str:
    """Open the page of a version of a registered model and take a picture; the text of the page."""
    page.goto(tracking.model_url(base, name, version))
    return read_model_version(page, picture)


def read_model_version(page: Page, picture: Path) -> str:
    """Take a picture of the page of a version of a registered model; its text."""
    page.get_by_text("Source Run").first.wait_for()
    return _picture(page, picture)


def _picture(page: Page, picture: Path) -> str:
    page.wait_for_timeout(2000)  # the pages poll for ever, so there is no last request to wait for
    page.screenshot(path=picture, full_page=True)
    return page.inner_text("body").replace("\N{NO-BREAK SPACE}", " ")
