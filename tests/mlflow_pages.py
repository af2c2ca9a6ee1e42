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


def show_parent_run(page: Page, base: str, experiment_id: str, run_id: str, picture: Path) -> str:
    """Open the page of a search, unfold its description, and take a picture; the text of the page."""
    page.goto(tracking.run_url(base, experiment_id, run_id))
    page.get_by_text("Leaderboard", exact=True).first.wait_for()
    page.get_by_text("Show more", exact=True).first.click()
    return _picture(page, picture)


def show_children(page: Page, base: str, experiment_id: str, parent_name: str, picture: Path) -> str:
    """Open the list of runs, unfold the search, and take a picture; the text of the page."""
    page.goto(f"{base}/#/experiments/{experiment_id}/runs")
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
    page.get_by_text("Source Run").first.wait_for()
    return _picture(page, picture)


def _picture(page: Page, picture: Path) -> str:
    page.wait_for_timeout(2000)  # the pages poll for ever, so there is no last request to wait for
    page.screenshot(path=picture, full_page=True)
    return page.inner_text("body").replace("\N{NO-BREAK SPACE}", " ")
