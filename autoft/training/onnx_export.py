"""From a saved model to a folder with it as ONNX: checked against PyTorch, and measured, on validation rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autoft.errors import InputError
from autoft.records import Direction
from autoft.training.answer_cost import device_name, measured
from autoft.training.batching import evaluation_batches
from autoft.training.devices import threads as with_threads
from autoft.training.evaluation import collated
from autoft.training.export import CARD, in_place_of
from autoft.training.onnx_graph import OnnxModel, outputs, quantize, write_graph
from autoft.training.predict import Predictor

if TYPE_CHECKING:
    import pandas as pd

REPORT = "onnx.json"
PLAIN, INT8 = "model.onnx", "model_quantized.onnx"
TOLERANCE = 1e-4  # of the largest logit, or of 1 where that is smaller
ROWS = 1000  # that are checked, at the most
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "README.md")


def export_onnx(
    folder: Path, rows: pd.DataFrame, target: Path, *, int8: bool = False, threads: int = 1, seconds: float = 4.0
) -> dict[str, Any]:
    """Exports the model in `folder` to ONNX, and says how far it is from PyTorch and how much faster.

    Args:
        folder: Where autoft saved the model.
        rows: Labelled rows, of the validation split; never those of the test.
        target: The folder to be made: the graph, the tokenizer, the config, and `onnx.json` with what is returned.
        int8: Export a second graph, with weights of 8 bits.
        threads: CPU threads to measure with.
        seconds: About how long to measure each size of a batch.

    Returns:
        `metric`, `direction`, `rows`, `device`, `tolerance`, and `variants`, PyTorch first: each with `name`, `file`,
        `megabytes`, `score` (of the metric), `loss` (by how much that is worse than PyTorch's), `difference` (the
        largest of any logit), `latency`, and `speedup` over PyTorch by rows in a batch.

    Raises:
        InputError: The model can't be exported, or gives something else as ONNX; nothing is left in `target`.
    """
    predictor = Predictor.load(folder)
    predictor.model.to("cpu")
    checked = rows.sample(min(ROWS, len(rows)), random_state=0).reset_index(drop=True)
    if len(checked) < 2:
        raise InputError("onnx: fewer than two validation rows are too few to check the export on")
    metric = _metric(folder, predictor)
    batch = predictor.batch(checked[:2])
    names = outputs(predictor.model, batch)
    check_target(target)
    with with_threads(threads), in_place_of(target) as draft:
        shutil.copytree(folder, draft, ignore=shutil.ignore_patterns(*_WEIGHTS))
        write_graph(predictor.model, batch, names, draft / PLAIN)
        variants = [_variant(predictor, "PyTorch", folder, checked, metric, seconds=seconds)]
        for name, file in (("ONNX", PLAIN), ("ONNX int8", INT8))[: 2 if int8 else 1]:
            if file == INT8:
                quantize(draft / PLAIN, draft / INT8)
            model = OnnxModel(draft / file, threads)
            difference, largest = _difference(predictor, model, checked, names)
            bound = TOLERANCE * max(1.0, largest)
            if file == PLAIN and not difference <= bound:
                raise InputError(
                    f"onnx: the graph's logits differ from PyTorch's by up to {difference:.2g}, "
                    f"and no more than {bound:.2g} is rounding; nothing was written"
                )
            found = _variant(predictor.running(model), name, draft / file, checked, metric, seconds=seconds)
            variants.append(found | {"difference": difference} | _against(found, variants[0], predictor, metric))
        report = {
            "metric": metric,
            "direction": str(predictor.task.metrics[metric]),
            "rows": len(checked),
            "device": device_name(torch.device("cpu"), threads),
            "tolerance": TOLERANCE,
            "variants": variants,
        }
        (draft / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def check_target(target: Path) -> None:
    """Whether a folder may be made there.

    Raises:
        InputError: Something else stands there.
    """
    empty = target.is_dir() and not any(target.iterdir())
    if target.exists() and not empty and not (target / REPORT).is_file():
        raise InputError(f"--out {target}: is there already and no export to ONNX; name another folder")
    if not target.parent.is_dir():
        raise InputError(f"--out {target}: there is no folder {target.parent}; make it first")


def _metric(folder: Path, predictor: Predictor) -> str:
    """What the search went for; of a model without one, the task's own metric."""
    extra = json.loads((folder / CARD).read_text(encoding="utf-8")).get("extra") or {}
    named = str(extra.get("metric"))
    return named if named in predictor.task.metrics else next(iter(predictor.task.metrics))


def _variant(
    predictor: Predictor, name: str, path: Path, rows: pd.DataFrame, metric: str, *, seconds: float
) -> dict[str, Any]:
    scores, examples = predictor.evaluated(rows)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else sorted(path.parent.glob(f"{path.name}*"))
    return {
        "name": name,
        "file": None if path.is_dir() else path.name,
        "megabytes": sum(file.stat().st_size for file in files) / 1e6,
        "score": float(predictor.task.measure(scores, examples, predictor.meta)[metric]),
        "latency": measured(predictor, rows, seconds=seconds),
    }


def _against(found: dict[str, Any], torch_s: dict[str, Any], predictor: Predictor, metric: str) -> dict[str, Any]:
    direction: Direction = predictor.task.metrics[metric]
    faster = {
        size: torch_s["latency"][size]["median_ms"] / times["median_ms"] for size, times in found["latency"].items()
    }
    return {"loss": direction.gain(torch_s["score"]) - direction.gain(found["score"]), "speedup": faster}


def _difference(
    predictor: Predictor, model: OnnxModel, rows: pd.DataFrame, names: Sequence[str]
) -> tuple[float, float]:
    """The largest difference of an output, and the largest output, over all rows and in batches of several sizes."""
    encoded = predictor.encoded(rows)
    difference = largest = 0.0
    alone = [np.array([i]) for i in range(min(3, len(encoded)))]
    for batch in [*alone, *evaluation_batches(encoded.lengths, 32)]:
        inputs = collated(encoded, batch, predictor.tokenizer, torch.device("cpu"))
        real = inputs["attention_mask"].bool()
        with torch.inference_mode():
            one, other = predictor.model(**inputs), model(**inputs)
        for name in names:
            wanted, found = getattr(one, name), getattr(other, name)
            if wanted.shape[:2] == real.shape:  # an output for each token: what stands for padding is nobody's
                wanted, found = wanted[real], found[real]
            difference = max(difference, float((wanted - found).abs().max()))
            largest = max(largest, float(wanted.abs().max()))
    return difference, largest
