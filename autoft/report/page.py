"""`report.html`: one file that holds everything, opens without a network, and can be printed.

Labels and texts in it are anybody's. They are escaped, and a content security policy lets the page run the two scripts
that it was written with, by their digests, and fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.report.amounts import amounts, is_fraction
from autoft.report.blocks import Block, Code, Items, Section, Shown, Table, Text
from autoft.report.files import replace
from autoft.report.labels import between, score
from autoft.report.pictures.picture import COLOURS, DARK
from autoft.report.sections import sections
from autoft.report.sections.shown import drawn

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PAGE, FOLDER, ALL = "report.html", "pictures", "all.html"
_TEMPLATES = Path(__file__).parent / "templates"
_CODE = re.compile(r"`([^`]+)`")
_NOTHING = "'none'"
_KEY = re.compile(r"[a-z][a-z-]*")


def write_html(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes `report.html`, with those of `report["pictures"]` that `write_pictures` has drawn into the folder.

    Beside the pictures it writes `pictures/all.html`, which holds nothing but them and can be looked at in MLflow.

    Args:
        report: As `autoft.report.build` makes it.
        folder: The folder of the search.

    Returns:
        The files written.

    Raises:
        OSError: The folder can't be written to.
    """
    path, pictures = folder / PAGE, folder / FOLDER
    replace(path, render_html(report, pictures))
    shown = tuple(drawn(report))
    if not shown or not pictures.is_dir():
        (pictures / ALL).unlink(missing_ok=True)
        return [path]
    only = Section("pictures", f"{report['search']}: pictures", shown)
    replace(pictures / ALL, _page([only], pictures, _kind(report), (), _made(report)))
    return [path, pictures / ALL]


def render_html(report: Mapping[str, Any], pictures: Path) -> str:
    """The report as a page.

    Args:
        report: As `autoft.report.build` makes it.
        pictures: Folder of the pictures' files; those that are missing are left out, with a note.
    """
    return _page(sections(report), pictures, _kind(report), _figures(report), _made(report))


def _page(
    parts: Sequence[Section], pictures: Path, kind: str, figures: Sequence[tuple[str, str, str]], made: str
) -> str:
    from markupsafe import Markup

    environment = _environment()
    macros = environment.get_template("blocks.html.j2").module
    alive = False

    def show(block: Block) -> Any:
        nonlocal alive
        match block:
            case Shown(key=key):
                still, figure = _files(pictures, key)
                alive = alive or bool(figure)
                return macros.shown(block, still, figure)  # type: ignore[attr-defined]
            case Text():
                return macros.text(block)  # type: ignore[attr-defined]
            case Items():
                return macros.items(block)  # type: ignore[attr-defined]
            case Table():
                return macros.table(block)  # type: ignore[attr-defined]
            case Code():
                return macros.code(block)  # type: ignore[attr-defined]

    # Set before the page around them: only with a picture to draw does it need the library.
    blocks = {id(block): show(block) for part in parts for block in part.blocks}
    library, script = (_library(), _source("report.js")) if alive else ("", "")
    hashes = " ".join(f"'{_digest(source)}'" for source in (library, script) if source)
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes or _NOTHING}; "
        f"base-uri {_NOTHING}; form-action {_NOTHING}"
    )
    return environment.get_template("report.html.j2").render(
        title=parts[0].title,
        kind=kind,
        sections=parts,
        show=lambda block: blocks[id(block)],
        figures=figures,
        made=made,
        policy=policy,
        css=Markup(_source("report.css")),  # noqa: S704 - our own
        alive=alive,
        colours=_json({COLOURS[name]: DARK[name] for name in COLOURS}),
        library=Markup(library),  # noqa: S704 - plotly's
        script=Markup(script),  # noqa: S704 - our own
    )


def _kind(report: Mapping[str, Any]) -> str:
    return f"{str(report.get('task') or 'search').replace('-', ' ')}, searched by autoft"


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The few numbers that stand out at the top."""
    winner = report["winner"]
    found = [(f"{report['metric']} on the test rows", score(winner.get("test")), "")]
    if interval := between(winner.get("test_interval")):
        found.append(("95 % interval", interval, "range"))
    plain = (report.get("comparisons") or {}).get("plain") or {}
    if plain.get("difference") is not None and plain.get("verdict"):
        (by,) = amounts([abs(plain["difference"])], report["metric"])
        unit = " points" if is_fraction(report["metric"]) else ""
        shown = f" by {by}{unit}" if plain["verdict"] in ("better", "worse") else ""
        found.append(("against the plain recipe", f"{plain['verdict']}{shown}", "range"))
    return found


def _made(report: Mapping[str, Any]) -> str:
    version = (report.get("versions") or {}).get("autoft")
    started = report.get("started")
    day = f" The search began on {datetime.fromtimestamp(started, UTC):%Y-%m-%d at %H:%M} UTC." if started else ""
    return f"Made by autoft{f' {version}' if version else ''} from report.json, which has every number.{day}"


def _files(pictures: Path, key: str) -> tuple[str, Markup | None]:
    """A picture's PNG in base64 and plotly's figure; nothing where a file can't be read."""
    if not _KEY.fullmatch(key):  # a report may come from anywhere, and must not name any file
        return "", None
    try:
        still = base64.b64encode((pictures / f"{key}.png").read_bytes()).decode()
    except OSError:
        return "", None
    try:
        return still, _json(json.loads((pictures / f"{key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return still, None


def _json(value: Any) -> Markup:
    """JSON that can stand in a script element: no `<` in it ends the element or opens a comment."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704


def _inline(text: str) -> Markup:
    """A text with code where backticks mark it, all of it escaped."""
    from markupsafe import Markup, escape

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just now


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["inline"] = _inline
    return environment


@cache
def _source(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _library() -> str:
    from autoft.report.pictures.interactive import library

    # Nothing in it may end the script element early.
    return library().replace("</script", "<\\/script")


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
