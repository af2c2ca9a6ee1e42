"""How to use the winner: from the shell, from Python, and without autoft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Block, Code, Section, Text, section


def use(report: Mapping[str, Any]) -> Section | None:
    """Lines to be copied."""
    name, folder, pairs = report["search"], report["model_dir"], report.get("pairs")
    text = '[("first text", "second text")]' if pairs else '["a text"]'
    shell = f"autoft predict {name} --data new.csv" if pairs else f'autoft predict {name} "a text"'
    blocks: list[Block] = [
        Text("From the shell, where `runs/` lies (elsewhere add `--runs`):"),
        Code("sh", shell),
        Text("From Python:"),
        Code("python", f'import autoft\n\nautoft.load("{name}").predict({text})'),
    ]
    if report.get("pipeline"):
        given = '{"text": "first text", "text_pair": "second text"}' if pairs else '"a text"'
        made = f"pipeline({report['pipeline']!r}, model={folder!r})({given})"
        blocks += [
            Text("Without autoft, it is an ordinary transformers model:"),
            Code("python", f"from transformers import pipeline\n\n{made}"),
        ]
    mlflow = report.get("mlflow") or {}
    if mlflow.get("model_version"):
        reason = mlflow.get("champion_reason")
        blocks.append(
            Text(
                f"MLflow's registry has it as `models:/{mlflow['model_name']}/{mlflow['model_version']}`."
                + (f" {reason}" if reason else "")
            )
        )
    return section("use", "Use it", blocks)
