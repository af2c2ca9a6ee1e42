"""What a benchmark leaves behind: `results/NAME.json`, a Markdown table beside it, and a plot.

results.write(
    "cost",
    {"search32_vs_one_finetune": [0.81, 0.84, 0.79]},  # one number per run: the median and [min, max] are written
    runs=runs,                                         # all that was measured, plain data
    targets={"search32_vs_one_finetune": "<= 1.0"},
    tables=[Table("Seconds", ("run", "search", "fine-tune"), rows)],
    plot=lambda figure: figure.subplots().bar(...),
)
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("autoft", "torch", "transformers", "ray", "optuna", "numpy")
# What of a processor's flags decides how fast it multiplies matrices.
_FLAGS = ("avx", "fma", "amx", "f16c", "sse4_2", "asimd", "sve", "bf16", "fphp")


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: Stands above it.
        columns: Its head.
        rows: Numbers are rounded to three significant digits.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        body = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
        return f"## {self.title}\n\n{body}\n"


def write(
    name: str,
    figures: Mapping[str, Sequence[float]],
    *,
    runs: Any,
    constants: Mapping[str, Any] | None = None,
    targets: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
    plot: Callable[[Figure], None] | None = None,
    folder: Path | None = None,
) -> Path:
    """Writes the results of a benchmark: `NAME.json`, `NAME.md` and `NAME.png`.

    Args:
        name: Of the benchmark.
        figures: By key, the number that each run gave. The median is written under the key, and `[min, max]` under
            `KEY_spread`.
        runs: The raw measurements from which the figures follow; plain data.
        constants: Figures that are no median of runs, such as an interval; written as they are.
        targets: By key, what a figure should be: `>= 2.0` or `<= 1.15`.
        settings: What the benchmark was called with.
        tables: For people, below the figures.
        notes: For people, a sentence each.
        plot: Draws into an empty figure.
        folder: Where to write; `benchmarks/results` by default.

    Returns:
        The JSON file.

    Raises:
        ValueError: A figure is not a finite number, or a target names no figure.
    """
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    flat = {**summary(figures), **(constants or {})}
    if unknown := set(targets or {}) - set(flat):
        raise ValueError(f"{name}: a target for {', '.join(sorted(unknown))}, which is no figure")
    content = {
        "benchmark": name,
        "figures": flat,
        "targets": dict(targets or {}),
        "settings": dict(settings or {}),
        "machine": machine(),
        "runs": runs,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(_markdown(content, tables, notes, picture=plot is not None), encoding="utf-8")
    if plot is not None:
        _draw(plot, folder / f"{name}.png")
    return path


def summary(figures: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Median and `[min, max]` of each figure, under `KEY` and `KEY_spread`.

    Raises:
        ValueError: There is no number, or one that is not finite.
    """
    flat: dict[str, Any] = {}
    for key, values in figures.items():
        if not values or not all(math.isfinite(value) for value in values):
            raise ValueError(f"{key}: {list(values)} are not all finite numbers")
        flat[key] = statistics.median(values)
        flat[f"{key}_spread"] = [min(values), max(values)]
    return flat


def met(value: float, target: str) -> bool:
    """Whether a figure is as a target such as `>= 2.0` wants it."""
    sign, bound = target.split()
    return {">=": value >= float(bound), "<=": value <= float(bound)}[sign]


def machine() -> dict[str, Any]:
    """What it was measured on, without the machine's name or any path."""
    info = _cpuinfo()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cpu_family": f"{info.get('cpu family', '?')}/{info.get('model', '?')}",
        "cpu_flags": sorted(flag for flag in info.get("flags", "").split() if flag.startswith(_FLAGS)),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
    }


def _markdown(content: Mapping[str, Any], tables: Sequence[Table], notes: Sequence[str], *, picture: bool) -> str:
    flat, targets, machine = content["figures"], content["targets"], content["machine"]
    rows = []
    for key, value in flat.items():
        if key.endswith("_spread"):
            continue
        low, high = flat.get(f"{key}_spread", ("", ""))
        target = targets.get(key, "")
        verdict = ("yes" if met(value, target) else "no") if target else ""
        rows.append((f"`{key}`", value, f"{_cell(low)} … {_cell(high)}" if low != "" else "", target, verdict))
    what = Table("Figures", ("figure", "median", "spread", "target", "met"), rows)
    where = (
        f"Measured on {machine['date']}: {machine['cpu']}, {machine['cores']} cores; "
        f"torch {machine['torch']}, transformers {machine['transformers']}, Python {machine['python']}.\n"
    )
    shown = f"![{content['benchmark']}]({content['benchmark']}.png)\n" if picture else ""
    remarks = "".join(f"- {note}\n" for note in notes)
    command = f"`make bench NAME={content['benchmark']}` makes this page anew.\n"
    parts = [f"# {content['benchmark']}\n", where + command, str(what), *map(str, tables), remarks, shown]
    return "\n".join(part for part in parts if part)


def _draw(plot: Callable[[Figure], None], path: Path) -> None:
    from matplotlib.figure import Figure  # comes with MLflow; not pyplot: nothing global, no window

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    plot(figure)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_cell, value))}]"
    return str(value)


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    first = path.read_text(encoding="utf-8").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
