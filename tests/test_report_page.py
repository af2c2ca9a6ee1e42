"""`report.html` and `report.md` of a whole report: every section, escaped, accessible, and with no way out."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from full_report import HOSTILE, LABELS, RUNGS, full_report, full_trials

from autoft.report import render
from autoft.report.labels import score, sentence
from autoft.report.page import render_html, write_html
from autoft.report.pictures import write_pictures
from autoft.report.sections import sections
from autoft.report.sections.entrants import difference
from autoft.report.sections.verdict import verdict

OPTIONAL = (
    "entrants",
    "selection",
    "comparisons",
    "test_read",
    "examination",
    "label_noise",
    "calibration",
    "classes",
    "confusion",
    "mistakes",
    "cost",
    "pictures",
    "models",
    "probes",
    "notes",
    "versions",
    "mlflow",
    "labels",
    "fingerprint",
    "leaderboard",
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What stands in a page; it refuses a tag that is closed where another one is open."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        """All that is read, without scripts and styles."""
        said = [text for tag, texts in self.texts.items() if tag not in ("script", "style") for text in texts]
        return " ".join(" ".join(said).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search with its pictures."""
    place = tmp_path_factory.mktemp("newswire")
    write_pictures(full_report(), full_trials(), RUNGS, place)
    return place


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    keys = sorted(path.stem for path in (folder / "pictures").glob("*.png"))
    entries = [{"key": key, "title": f"Picture {key}", "caption": f"What {key} shows."} for key in keys]
    return full_report() | {"pictures": entries}


@pytest.fixture(scope="module")
def page(report: dict[str, Any], folder: Path) -> Page:
    return Page(render_html(report, folder / "pictures"))


def test_the_verdict_comes_first_and_every_section_has_a_heading(page: Page, report: dict[str, Any]) -> None:
    assert page.texts["h1"] == ["newswire"]
    headings = [part.title for part in sections(report)][1:]
    assert page.texts["h2"] == headings
    assert len(headings) == 9
    assert "better by 3.8 points" in page.texts["dd"]
    assert page.text.index("Trial 11 won") < page.text.index("The winner and simple models")
    anchors = [link["href"] for link in page.all("a")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {anchor[1:] for anchor in anchors} <= set(ids) and len(anchors) == len(headings)


def test_every_number_of_the_finals_is_in_the_page_and_in_the_markdown(page: Page, report: dict[str, Any]) -> None:
    text = " ".join(render(report).split())
    said = {score(one[key]) for one in report["entrants"] for key in ("mean", "test", "spread") if one[key] is not None}
    said |= {score(one[key]) for one in report["classes"] for key in ("precision", "recall", "f1")}
    said |= {report["selection"]["sentence"], report["selection"]["rule"], report["label_noise"]["method"]}
    said |= {sentence(one["sentence"]) for one in report["comparisons"].values()}
    said |= {one["sentence"] for one in report["examination"]["findings"]}
    said |= {"22,713,988 parameters", "10,648,324 of them trained", "1.17 Wh", "11.2", "13.9", "4.62"}
    for fact in said:
        assert fact in page.text, fact
        assert fact in text, fact
    for one in report["entrants"][1:]:
        assert difference(one) in page.text


def test_tables_have_captions_and_headers_and_pictures_have_words(page: Page, report: dict[str, Any]) -> None:
    assert len(page.texts["caption"]) == len(page.all("table")) >= 8
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    stills = page.all("img")
    assert [still["alt"] for still in stills] and len(stills) == len(report["pictures"]) == 7
    shown = {f"{entry['title']}. {entry['caption']}" for entry in report["pictures"]}
    assert {still["alt"] for still in stills} == shown
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.texts["figcaption"]) == 7


def test_the_page_asks_for_nothing(page: Page) -> None:
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not page.all("link") and not page.all("iframe")
    assert not re.search(r"@import|url\(", "".join(page.texts["style"]))
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy and "'unsafe-inline'" not in policy.split("script-src")[1]
    scripts = [text for text in page.texts["script"] if not text.startswith("{")]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert len(digests) == 2
    assert all(f"'sha256-{digest}'" in policy for digest in digests)


def test_texts_and_labels_of_the_data_stay_text(folder: Path) -> None:
    nasty = f"{HOSTILE}<img src=x onerror=alert(2)>`</code>{{{{ 7*7 }}}}"
    hostile = full_report((nasty, *LABELS[1:]))
    hostile["search"] = nasty
    hostile["notes"] = [nasty]
    hostile["leaderboard"][0]["reason"] = nasty
    hostile["examination"]["findings"][0]["examples"] = [{"text": nasty, "rows": [[nasty, 1]]}]
    hostile["examination"]["findings"][0]["sentence"] = nasty
    hostile["pictures"] = [{"key": "best-so-far", "title": nasty, "caption": nasty}]
    found = Page(render_html(hostile, folder / "pictures"))
    assert len(found.all("script")) == 4  # the colours, the figure, the library, our own
    assert [image.get("src", "")[:15] for image in found.all("img")] == ["data:image/png;"]
    assert "alert(1)" in found.text and "{{ 7*7 }}" in found.text
    text = re.sub(r"^```.*?^```", "", render(hostile), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)<(script|img)", text)
    assert "[" not in text.replace("\\[", "").replace("![", "").split("## Use it")[0].split("](pictures/")[0]


def test_a_figure_cannot_end_its_script(folder: Path) -> None:
    labels = (f"</script>{HOSTILE}", "<!--", *LABELS[2:])
    report = full_report(labels)
    entries, notes = write_pictures(report, full_trials()[:2], RUNGS, folder / "..")
    assert notes == []
    found = Page(render_html(report | {"pictures": entries}, folder / ".." / "pictures"))
    assert len(found.all("script")) == 3 + len(entries)


@pytest.mark.parametrize("missing", OPTIONAL)
@pytest.mark.parametrize("value", ["gone", None])
def test_a_report_without_it_is_a_report(missing: str, value: object, report: dict[str, Any], folder: Path) -> None:
    less = copy.deepcopy(report)
    if value == "gone":
        del less[missing]
    else:
        less[missing] = None
    found = Page(render_html(less, folder / "pictures"))
    assert "Trial 11 won" in found.text
    assert "None" not in found.text
    assert "Trial 11 won" in render(less)


def test_a_report_of_before_the_finals_has_its_sections(report: dict[str, Any], folder: Path) -> None:
    old = {key: value for key, value in report.items() if key not in OPTIONAL[:12]}
    assert [part.key for part in sections(old)] == ["verdict", "search", "leaderboard", "data", "configuration", "use"]
    found = Page(render_html(old, folder / "pictures"))
    assert len(found.all("script")) == 0  # nothing to draw, no library
    assert "script-src 'none'" in next(meta["content"] for meta in found.all("meta") if meta.get("http-equiv"))


def test_a_second_reading_of_the_test_rows_is_marked(report: dict[str, Any], folder: Path) -> None:
    again = report | {"test_read": {**report["test_read"], "earlier": 1}}
    assert "These test rows were read before, on 1 other model:" in Page(render_html(again, folder / "pictures")).text
    assert "read once." not in render(again) and "read once." in render(report)


@pytest.mark.parametrize(
    ("lead", "interval", "said"),
    [
        (0.03, [0.01, 0.05], "better by 0.0300 (0.0100 to 0.0500)"),
        (-0.03, [-0.05, -0.01], "worse by 0.0300 (0.0100 to 0.0500)"),
        (0.01, [-0.01, 0.03], "no difference shown (ahead by 0.0100; -0.0100 to 0.0300)"),
        (-0.01, [-0.03, 0.01], "no difference shown (behind by 0.0100; -0.0300 to 0.0100)"),
        (0.0, [0.0, 0.0], "no difference shown (ahead by 0.0000; 0.0000 to 0.0000)"),
        (0.01, None, "better by 0.0100; how sure that is can't be said"),
        (0.01, [None, None], "better by 0.0100; how sure that is can't be said"),
        (None, None, "-"),
    ],
)
def test_a_difference_in_words(lead: float | None, interval: Any, said: str) -> None:
    assert difference({"difference": lead, "difference_interval": interval}) == said


def test_a_verdict_that_was_given_is_kept_and_made_a_sentence(report: dict[str, Any]) -> None:
    said = "no difference from trial 15 is shown: 0.4 points ahead (95 % interval 0.1 to 2.5), but so few rows"
    assert difference({"difference": 0.004, "difference_interval": [0.001, 0.025], "verdict": said}) == said
    fragments = {
        "plain": {"sentence": "better than the plain recipe by 3.8 points, 95 % interval 1.1 to 6.7"},
        "runner_up": {"sentence": said},
    }
    items = verdict(report | {"comparisons": fragments})
    assert "It is better than the plain recipe by 3.8 points, 95 % interval 1.1 to 6.7." in items
    assert f"N{said[1:]}." in items


def test_a_search_with_two_objectives_shows_its_front(report: dict[str, Any], folder: Path) -> None:
    board = report["leaderboard"]
    points = [{"trial": one["trial"], "value": one["validation"], "cost": 4.4e6} for one in board]
    front = {"axes": ["macro_f1", "parameters"], "points": points, "front": [11], "within": None}
    two = report | {"pareto": front}
    found = Page(render_html(two, folder / "pictures"))
    assert "The front" in found.texts["h2"] and "4.4 M" in found.text
    assert "## The front" in render(two) and "## The front" not in render(report)


def test_the_page_and_its_pictures_are_written(report: dict[str, Any], folder: Path) -> None:
    written = write_html(report, folder)
    assert written == [folder / "report.html", folder / "pictures" / "all.html"]
    assert written[0].read_text(encoding="utf-8") == render_html(report, folder / "pictures")
    only = Page(written[1].read_text(encoding="utf-8"))
    assert len(only.all("img")) == 7 and not only.all("table")
    assert write_html(report | {"pictures": []}, folder) == [folder / "report.html"]
    assert not written[1].exists()


def test_a_picture_that_is_gone_leaves_a_note(report: dict[str, Any], tmp_path: Path) -> None:
    found = Page(render_html(report, tmp_path))
    assert found.all("img") == []
    assert found.text.count("The picture could not be read.") == 7


def test_a_report_cannot_name_a_file_outside_its_folder(report: dict[str, Any], folder: Path) -> None:
    (folder / "secret.png").write_bytes(b"secret")
    entry = {"key": "../secret", "title": "A", "caption": "B"}
    (folder / "pictures" / "confusion-matrix.json").write_text("{broken", encoding="utf-8")
    assert base64.b64encode(b"secret").decode() not in render_html(report | {"pictures": [entry]}, folder / "pictures")
    write_html(report | {"pictures": [entry]}, folder)
    assert b"c2VjcmV0" not in (folder / "pictures" / "all.html").read_bytes()
