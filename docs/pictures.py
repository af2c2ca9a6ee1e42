"""Makes the pictures of the README from a search that has ended.

python docs/pictures.py runs/quickstart [live.ansi]

`live.ansi` is the screen of a running search: tmux capture-pane -p -e > live.ansi
Needs Chromium; the pages are the search's `report.html` and MLflow's own, served on the loopback.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from mlflow_pages import (  # noqa: E402
    browser_page,
    follow,
    mlflow_server,
    show_children,
    show_curves,
    show_model,
    show_parent_run,
)
from report_pages import opened  # noqa: E402
from rich.console import Console, RenderableType  # noqa: E402
from rich.text import Text  # noqa: E402

from autoft.cli.final import final  # noqa: E402


def terminal(what: RenderableType, command: str, width: int, picture: Path) -> None:
    """Draws what a terminal of `width` columns shows."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}\n", "bold"))
    console.print(what)
    with tempfile.TemporaryDirectory() as folder, browser_page(width=1200, height=900) as page:
        svg = Path(folder) / "screen.svg"
        svg.write_text(console.export_svg(title="autoft"), encoding="utf-8")
        page.set_content(f'<body style="margin:0">{svg.read_text(encoding="utf-8")}</body>')
        page.locator("svg").first.screenshot(path=picture)


def main() -> None:
    """Makes all pictures."""
    search = Path(sys.argv[1])
    report = json.loads((search / "report.json").read_text(encoding="utf-8"))
    command = f"autoft search search_spaces/{report['search']}.yaml"
    terminal(final(report, width=130), command, 130, HERE / "final.png")
    if len(sys.argv) > 2:
        live = Text.from_ansi(Path(sys.argv[2]).read_text(encoding="utf-8").rstrip())
        terminal(live, command, 110, HERE / "live.png")
    with opened(search / "report.html", width=1100, height=1500) as seen:
        seen.wait_until_drawn()
        seen.picture(HERE / "report.png", whole=False)
    flow = report["mlflow"]
    with mlflow_server(flow["tracking_uri"]) as base, browser_page(width=1280, height=700) as page:
        show_parent_run(page, base, flow["experiment_id"], flow["run_id"], HERE / "mlflow-search.png")
        winner = follow(page, "the winner's run")
        show_curves(winner, f"val_{report['metric']}", HERE / "mlflow-curves.png")
        show_children(page, base, flow["experiment_id"], report["search"], HERE / "mlflow-trials.png")
        show_model(page, base, flow["model_name"], HERE / "mlflow-champion.png")


if __name__ == "__main__":
    main()
