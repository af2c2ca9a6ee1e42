"""What an answer of a saved model costs on this machine: its size, and how long one waits."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autoft.training.devices import threads as with_threads
from autoft.training.predict import Predictor

if TYPE_CHECKING:
    import pandas as pd

BATCHES = (1, 32)
WARM_UP, LEAST, MOST = 2, 5, 200  # runs for each size of a batch


def cost(folder: Path, rows: pd.DataFrame, *, threads: int = 1, seconds: float = 4.0, seed: int = 0) -> dict[str, Any]:
    """Parameters of the model in `folder`, and how long `Predictor.predict` takes, from the text to its answer.

    Args:
        folder: Where autoft saved the model.
        rows: Rows with the model's columns, of the validation split, say; batches are drawn from them.
        threads: CPU threads, as many as it was trained with.
        seconds: About how long to measure each size of a batch; a slow model is run a few times all the same.
        seed: Of the draw.

    Returns:
        `parameters`, their number; `latency`, for each number of rows in a batch (as text) `median_ms`, `p95_ms` and
        `runs`; and `device`, what it was measured on.

    Raises:
        ValueError: There are no rows.
        InputError: The folder isn't one that autoft saved a model to.
    """
    if not len(rows):
        raise ValueError("latency is measured on rows, and there are none")
    predictor = Predictor.load(folder)
    with with_threads(threads):
        latency = measured(predictor, rows, seconds=seconds, seed=seed)
    return {
        "parameters": sum(parameter.numel() for parameter in predictor.model.parameters()),
        "latency": latency,
        "device": device_name(predictor.model.device, threads),
    }


def measured(predictor: Predictor, rows: pd.DataFrame, *, seconds: float, seed: int = 0) -> dict[str, Any]:
    """How long `predictor.predict` takes, for each size of a batch; arguments and result as of `cost`."""
    return {str(size): _latency(predictor, rows, size, seconds, seed) for size in BATCHES}


def _latency(predictor: Predictor, rows: pd.DataFrame, size: int, seconds: float, seed: int) -> dict[str, Any]:
    generator = np.random.default_rng([seed, size])
    times: list[float] = []
    end = 0.0
    while len(times) < WARM_UP + LEAST or (len(times) < WARM_UP + MOST and time.perf_counter() < end):
        if len(times) == WARM_UP:
            end = time.perf_counter() + seconds
        drawn = generator.choice(len(rows), size=size, replace=len(rows) < size)
        batch = rows.iloc[drawn]
        began = time.perf_counter()
        predictor.predict(batch)
        times.append(time.perf_counter() - began)
    found = np.array(times[WARM_UP:]) * 1000
    return {"median_ms": float(np.median(found)), "p95_ms": float(np.percentile(found, 95)), "runs": len(found)}


def device_name(device: torch.device, threads: int) -> str:
    """What was measured on, in words."""
    if device.type != "cpu":
        return f"{device.type}, {torch.cuda.get_device_name(device)}"
    name = _processor()
    return f"cpu, {threads} {'thread' if threads == 1 else 'threads'}" + (f", {name}" if name else "")


def _processor() -> str:
    """The processor's name; empty where the system doesn't tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "")
