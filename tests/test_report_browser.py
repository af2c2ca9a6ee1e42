"""What a person sees of `report.html`, opened from the disk without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from full_report import HOSTILE, LABELS, RUNGS, full_report, full_trials
from report_pages import opened

from autoft.report.page import write_html
from autoft.report.pictures import write_pictures

_INK = """() => [...document.querySelectorAll('.plot')].map(
  (plot) => plot.querySelectorAll('svg.main-svg path, svg.main-svg rect, svg.main-svg image').length)"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report whose labels and texts would run a script, if they were let."""
    folder = tmp_path_factory.mktemp("newswire")
    report = full_report((f"{HOSTILE}<img src=x onerror=alert(2)>", *LABELS[1:]))
    entries, notes = write_pictures(report, full_trials(), RUNGS, folder)
    assert notes == []
    report["pictures"] = entries
    return write_html(report, folder)[0], report


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (390, "light")])
def test_a_person_reads_the_verdict_and_sees_the_pictures(
    page: tuple[Path, dict[str, Any]], width: int, scheme: str, tmp_path: Path
) -> None:
    path, report = page
    with opened(path, width=width, scheme=scheme) as seen:
        seen.wait_until_drawn()
        assert seen.page.get_by_role("heading", level=1).inner_text() == "newswire"
        assert seen.page.get_by_text("Trial 11 won: minilm-l6").is_visible()
        assert seen.page.get_by_role("table", name="Entrants, the winner first").get_by_role("row").count() == 6
        ink = seen.page.evaluate(_INK)
        assert len(ink) == len(report["pictures"]) == 7 and min(ink) > 5
        assert not any(still.is_visible() for still in seen.page.locator("img.still").all())
        names = [f"{entry['title']}. {entry['caption']}" for entry in report["pictures"]]
        assert all(seen.page.get_by_role("img", name=name, exact=True).count() for name in names)
        # Wide tables scroll on their own; the page doesn't.
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(21, 24, 28)" if scheme == "dark" else "rgb(255, 255, 255)")
        backs = "[...document.querySelectorAll('.plot .main-svg:first-child')].map((svg) => svg.style.background)"
        assert seen.page.evaluate(backs) == [paper] * 7
        seen.picture(tmp_path / "page.png")
        assert (seen.requests, seen.complaints, seen.dialogs) == ([], [], [])


@pytest.mark.browser
@pytest.mark.slow
def test_the_pictures_follow_the_readers_scheme_and_are_printed_from_their_stills(
    page: tuple[Path, dict[str, Any]],
) -> None:
    from playwright.sync_api import expect

    with opened(page[0]) as seen:
        seen.wait_until_drawn()
        steps = seen.page.locator("#best-so-far .scatterlayer .js-line").first
        expect(steps).to_have_css("stroke", "rgb(11, 79, 156)")
        seen.page.emulate_media(color_scheme="dark")
        expect(steps).to_have_css("stroke", "rgb(125, 184, 255)", timeout=60_000)
        seen.page.emulate_media(media="print", color_scheme="light")
        assert all(still.is_visible() for still in seen.page.locator("img.still").all())
        assert not any(plot.is_visible() for plot in seen.page.locator(".plot").all())
        assert not seen.page.get_by_role("navigation").is_visible()


@pytest.mark.browser
@pytest.mark.slow
def test_where_no_script_runs_the_stills_are_there(page: tuple[Path, dict[str, Any]]) -> None:
    with opened(page[0], scripts=False) as seen:
        stills = seen.page.locator("img.still")
        assert stills.count() == 7
        for still in stills.all():
            still.scroll_into_view_if_needed()
            assert still.is_visible() and still.bounding_box()["height"] > 150  # type: ignore[index]


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_of_the_pictures_alone_draws_them_all(page: tuple[Path, dict[str, Any]]) -> None:
    with opened(page[0].parent / "pictures" / "all.html") as seen:
        seen.wait_until_drawn()
        assert min(seen.page.evaluate(_INK)) > 5
        assert (seen.requests, seen.complaints, seen.dialogs) == ([], [], [])
