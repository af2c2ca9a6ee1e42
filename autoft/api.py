"""The Python API: the same searches that the command line runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.errors import InputError, SpecError
from autoft.keywords import made, make_spec, sound_spec
from autoft.records import SearchRecord, Snapshot, TrialRecord
from autoft.spec import RUNS, SearchSpec, read_yaml
from autoft.words import parse_duration, resume_command, shown

if TYPE_CHECKING:
    import pandas as pd

    from autoft.finals.reproducing import Reproduction
    from autoft.planning import Plan
    from autoft.session import Observer
    from autoft.training.predict import Predictor

__all__ = [
    "Result",
    "check",
    "export_onnx",
    "folder_of",
    "load",
    "make_spec",
    "model",
    "records",
    "reproduce",
    "resume",
    "search",
    "sound_spec",
]


@dataclass(frozen=True)
class Result:
    """A finished search.

    Attributes:
        name: Name of the search.
        folder: Its folder.
        report: What `report.json` holds.
        trials: All trials by number.
    """

    name: str
    folder: Path
    report: Mapping[str, Any]
    trials: tuple[TrialRecord, ...]

    @property
    def model_dir(self) -> Path:
        """The winner: a folder that `AutoModel.from_pretrained` opens."""
        return self.folder / "model"

    def predict(
        self,
        texts: Sequence[str] | Sequence[tuple[str, str]] | pd.DataFrame,
        *,
        probabilities: bool = False,
        batch_size: int = 64,
    ) -> list[dict[str, Any]]:
        """The winner's answer for each text, as the matching `transformers` pipeline gives it.

        Args:
            texts: Texts, pairs of texts, or a table with the columns that the search was given.
            probabilities: Add to each answer, as `probabilities`, how likely each label is, by its name.
            batch_size: Texts that the model reads at once.

        Raises:
            InputError: The texts are none that the model can answer, or its task has no probabilities.
        """
        answers: list[dict[str, Any]] = self._predictor.predict(
            texts, probabilities=probabilities, batch_size=batch_size
        )
        return answers

    @cached_property
    def _predictor(self) -> Any:
        from autoft.training.predict import Predictor

        return Predictor.load(self.model_dir)

    def __repr__(self) -> str:
        winner = self.report["winner"]
        low, high = winner["test_interval"]
        interval = "" if low is None or high is None else f", 95 % interval {low:.4f} to {high:.4f}"
        metric = f"{self.report['metric']} {winner['test']:.4f} on test{interval}"
        return f"Result({self.name!r}: {metric}, model in {self.model_dir})"


def check(spec: SearchSpec | str | Path | None = None, runs: str | Path = RUNS, **options: Any) -> Plan:
    """What a search would do, with everything checked that can be checked before it.

    Args:
        spec: As `search` takes it.
        runs: Folder of the searches.
        options: See `make_spec`.

    Raises:
        InputError: One line for each problem.
    """
    from autoft.planning import plan

    return plan(made(spec, runs, options), Path(runs))


def search(
    spec: SearchSpec | str | Path | None = None,
    *,
    runs: str | Path = RUNS,
    replace: bool = False,
    observer: Observer | None = None,
    **options: Any,
) -> Result:
    """Searches for the best fine-tuned model, and hands it over.

    Args:
        spec: A spec, or the YAML file of one; may be left out where `options` say everything.
        runs: Folder of the searches; this one gets a folder of its name there.
        replace: Delete a search of the same name first.
        observer: Called with a `Snapshot` several times a second at most.
        options: See `make_spec`; not together with a spec that is made already.

    Raises:
        InputError: One line for each problem; nothing was started.
        SearchError: No trial gave a model.
        Interrupted: Stopped by Ctrl-C; `resume` goes on.
    """
    from autoft.folder import prepare
    from autoft.session import Session

    began = time.monotonic()
    wanted = made(spec, runs, options)
    watch = observer or _ignore
    folder, planned = prepare(wanted, Path(runs), replace=replace)
    Session(folder, planned, watch, began, wanted.search.budget).run()
    return load(folder)


def resume(
    name: str | Path,
    *,
    runs: str | Path = RUNS,
    budget: str | float | None = None,
    trials: int | None = None,
    task: Any = None,
    observer: Observer | None = None,
) -> Result:
    """Goes on with a search that was stopped, killed, or is to be searched further.

    Args:
        name: Its name, or its folder.
        runs: Folder of the searches.
        budget: Time from now on; by default what is left of the search's own.
        trials: Number of trials in all; by default the search's own.
        task: The task, where it was handed over as an object that can't be imported.
        observer: Called with a `Snapshot` several times a second at most.

    Raises:
        InputError: There is no such search, or it can't go on here.
        SearchError: No trial gave a model.
        Interrupted: Stopped by Ctrl-C; `resume` goes on.
    """
    from autoft.folder import STUDY, reopen
    from autoft.session import Session
    from autoft.study.ledger import Ledger

    began = time.monotonic()
    if task is not None:
        from autoft import tasks

        tasks.reference(task)
    folder = folder_of(name, runs)
    changes: dict[str, Any] = {} if trials is None else {"trials": trials}
    if not (folder / STUDY).is_file():
        raise SpecError(f"{folder}: there is no search; `autoft show --all` lists those there are")
    ledger = Ledger.open(folder / STUDY)
    spent, tried = ledger.spent, len(ledger)
    ledger.close()
    planned = reopen(folder, changes)
    left = planned.spec.search.budget
    if budget is not None:
        left = _seconds(budget)
        if trials is None and tried >= (planned.spec.search.trials or math.inf):
            planned = reopen(folder, {"trials": None, "budget": left})  # all were tried: more time means more trials
    elif left is not None:
        left = max(left - spent, 1.0)
    Session(folder, planned, observer or _ignore, began, left).run()
    return load(folder)


def reproduce(
    name: str | Path, *, runs: str | Path = RUNS, tell: Callable[[str], None] = lambda _: None
) -> Reproduction:
    """Trains the winner of a finished search again from its record, and says whether the same comes out.

    Args:
        name: Its name, or its folder.
        runs: Folder of the searches.
        tell: Gets a line for each training.

    Raises:
        InputError: There is no such search, it isn't finished, or it can't be trained here.
        SearchError: Its record is not whole.
    """
    import tempfile

    from autoft.driving import job_of
    from autoft.finals.reproducing import reproduce as again
    from autoft.folder import reopen

    result = load(name, runs)
    plan = reopen(result.folder, {})
    with tempfile.TemporaryDirectory(prefix="autoft-") as cache:
        return again(result.folder, job_of(plan, result.folder, Path(cache)), plan.splits, result.report, tell)


def load(name: str | Path, runs: str | Path = RUNS) -> Result:
    """A finished search, by its name or its folder.

    Raises:
        SpecError: There is no such search, or it is not finished.
    """
    folder = folder_of(name, runs)
    search_record, trials = records(folder, runs)
    path = folder / "report.json"
    if not path.is_file():
        raise SpecError(f"{folder}: not finished yet; go on with: {resume_command(folder)}")
    return Result(search_record.name, folder, json.loads(path.read_text(encoding="utf-8")), trials)


def model(name: str | Path, runs: str | Path = RUNS) -> Predictor:
    """A winner, ready to answer: by the name or folder of its search, or by its model folder wherever that lies.

    Raises:
        InputError: There is no such search or model, or the search is not finished.
    """
    from autoft.folder import STUDY
    from autoft.training.export import CARD
    from autoft.training.predict import Predictor

    folder = folder_of(name, runs)
    if not (folder / STUDY).is_file() and (folder / CARD).is_file():
        return Predictor.load(folder)
    return Predictor.load(load(name, runs).model_dir)


def export_onnx(
    name: str | Path,
    out: str | Path | None = None,
    *,
    int8: bool = False,
    threads: int | None = None,
    runs: str | Path = RUNS,
) -> dict[str, Any]:
    """Hands a winner over as ONNX as well, checked against PyTorch and measured on the search's validation rows.

    Args:
        name: A finished search, by its name or its folder.
        out: The folder to be made; by default `model-onnx` in the search's folder.
        int8: Also with weights of 8 bits, which is smaller, faster and a little less right: by how much is measured.
        threads: CPU threads to measure with; by default as many as the search trained with.
        runs: Folder of the searches.

    Returns:
        What `onnx.json` in the new folder holds; see `autoft.training.onnx_export`.

    Raises:
        InputError: There is no such search, or its model can't be exported; no folder is made.
    """
    from autoft import data
    from autoft.folder import DATA, SPEC
    from autoft.training import onnx_export

    result = load(name, runs)
    target = Path(out) if out is not None else result.model_dir.with_name(f"{result.model_dir.name}-onnx")
    onnx_export.check_target(target)
    rows = data.read_part(result.folder / DATA, "validation")
    if threads is None:
        threads = int(read_yaml(result.folder / SPEC)["resources"]["cpus_per_trial"])
    return onnx_export.export_onnx(result.model_dir, rows, target, int8=int8, threads=threads)


def records(name: str | Path, runs: str | Path = RUNS) -> tuple[SearchRecord, tuple[TrialRecord, ...]]:
    """What the ledger of a search holds, whether it is finished, running or stopped.

    Raises:
        SpecError: There is no such search.
    """
    from autoft.folder import STUDY
    from autoft.study.ledger import Ledger

    folder = folder_of(name, runs)
    if not (folder / STUDY).is_file():
        raise SpecError(f"{folder}: there is no search; `autoft show --all` lists those there are")
    ledger = Ledger.open(folder / STUDY)
    try:
        return ledger.search, ledger.records()
    finally:
        ledger.close()


def folder_of(name: str | Path, runs: str | Path = RUNS) -> Path:
    """The folder of a search that is named by its name in `runs`, or by its folder; it need not be there."""
    inside = Path(runs) / str(name)
    if len(str(name)) > 4096 or any(len(part.encode()) > 255 for part in Path(name).parts):
        raise SpecError(f"{shown(str(name))}: no search and no folder can have such a name")
    if inside.is_dir() and inside.resolve().parent == Path(runs).resolve():
        return inside
    return Path(name)


def _seconds(budget: str | float) -> float:
    try:
        return parse_duration(budget)
    except ValueError as error:
        raise InputError(f"budget: {error}") from None


def _ignore(_: Snapshot) -> None:
    """Nobody watches."""
