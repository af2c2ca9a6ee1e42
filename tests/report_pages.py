"""`report.html` in headless Chromium, opened from the disk: what a person sees, and what the page asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_pages import _ARGUMENTS, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page


@dataclass
class Opened:
    """A page, and what went on while it was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def wait_until_drawn(self) -> None:
        """Waits until every picture has taken the place of its still."""
        from playwright.sync_api import expect

        # Not `wait_for_function`, which evaluates a string: the page's own policy forbids that.
        expect(self.page.locator(".picture.drawn")).to_have_count(self.page.locator(".plot").count(), timeout=60_000)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Takes a picture of the page."""
        self.page.screenshot(path=path, full_page=whole)


@contextmanager
def opened(
    report: Path, *, width: int = 1100, height: int = 900, scheme: str = "light", scripts: bool = True
) -> Iterator[Opened]:
    """The report in a browser that has no network."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                offline=True,
                java_script_enabled=scripts,
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            seen = Opened(page)

            def asked(url: str) -> None:
                if not url.startswith(("data:", "blob:")) and url != report.resolve().as_uri():
                    seen.requests.append(url)

            page.on("request", lambda request: asked(request.url.split("#")[0]))
            page.on("console", lambda message: seen.complaints.append(message.text) if _bad(message.type) else None)
            page.on("pageerror", lambda error: seen.complaints.append(str(error)))
            page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
            page.goto(report.resolve().as_uri())
            yield seen
        finally:
            browser.close()


def _bad(kind: str) -> bool:
    return kind in ("error", "warning")
