"""`autoft export`: the winner of a search in another format."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from autoft.cli import options
from autoft.errors import InputError
from autoft.words import RUNS


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A finished search, or its folder.")],
    *,
    onnx: Annotated[bool, typer.Option("--onnx", help="To ONNX; the only format so far.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also with weights of 8 bits.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to be made; by default model-onnx in that of the search.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads to measure with; by default those of a trial.")
    ] = None,
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Hand the winner over as ONNX, checked and measured.

    Its logits have to be those of PyTorch on the validation rows, or nothing is written. Time and score of each form
    are measured on the same rows; the test rows are not read.

    Examples:
      autoft export quickstart --onnx
      autoft export quickstart --onnx --int8 --out /srv/model
    """
    if not onnx:
        raise InputError("export: name the format: autoft export NAME --onnx")
    from autoft import api

    report = api.export_onnx(name, out, int8=int8, threads=threads, runs=runs)
    if json:
        typer.echo(jsonlib.dumps(report, ensure_ascii=False))
        return
    _print(report)
    typer.echo(f"written to {out or api.folder_of(name, runs) / 'model-onnx'}")


def _print(report: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    sizes = list(report["variants"][0]["latency"])
    table = Table(box=box.SIMPLE_HEAD, header_style="dim")
    table.add_column("")
    for heading in (report["metric"], "worse by", "largest difference", "MB", *(f"{n} at once" for n in sizes)):
        table.add_column(heading, justify="right")
    for variant in report["variants"]:
        times = [_time(variant, size) for size in sizes]
        loss, difference = variant.get("loss"), variant.get("difference")
        table.add_row(
            variant["name"],
            f"{variant['score']:.4f}",
            "" if loss is None else f"{loss:+.4f}",
            "" if difference is None else f"{difference:.1e}",
            f"{variant['megabytes']:.1f}",
            *times,
        )
    Console(highlight=False).print(table)
    typer.echo(
        f"on {report['rows']:,} validation rows; times are medians on {report['device']}; "
        f"the largest difference is that of a logit"
    )


def _time(variant: Mapping[str, Any], size: str) -> str:
    faster = variant.get("speedup", {}).get(size)
    said = f"{variant['latency'][size]['median_ms']:.1f} ms"
    return said if faster is None else f"{said} ({faster:.1f}x)"
