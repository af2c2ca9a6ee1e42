"""A trial on a Ray worker: the Tune Trainable around one fine-tune.

One actor trains many trials, one after the other (`reuse_actors`), so the imports and the tokenised data stay warm.
A failure inside a trial comes back as a result, not as an exception: the actor survives it, and
Tune's own retries are left to what they are for, an actor that died.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from autoft.records import TrialConfig
from autoft.training.finetune import FineTune
from autoft.training.job import Job

SLICE = 1.5  # seconds between two signs of life
SAVE_EVERY = 60.0  # seconds of work that a killed worker may lose at the most

COMPLETE, FAILED = "complete", "failed"


def checkpoints(folder: str | Path, number: int) -> Path:
    """Where a trial's checkpoints lie in the folder of a search."""
    return Path(folder) / "checkpoints" / f"{number:05d}"


class TrialRunner(tune.Trainable):
    """Trains the trial that `config` names, a slice of time per step.

    `config` holds `number` and `config` (a `TrialConfig` as a dictionary). Every result holds `number`,
    `samples` seen, `reports` made since the result before (after a restart: all of them), and, at the
    end, `outcome` and `reason`.
    """

    def setup(self, config: dict[str, Any], job: Job | None = None, folder: str = "") -> None:
        """Takes what all trials of the search share, and starts the first."""
        if job is None:
            raise TypeError("a TrialRunner needs the search's job")
        self._job = job
        self._folder = folder
        self._finetune: FineTune | None = None
        self._told = 0
        self._saved = time.monotonic()
        self._problem = ""
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Lets go of the trial before and starts, or goes on with, another."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains until the next report, or for a slice of time."""
        result: dict[str, Any] = {"number": self._number, "reports": [], "outcome": "", "reason": ""}
        try:
            finetune = self._open()
            finetune.advance(SLICE)
            result["samples"] = finetune.samples
            result["reports"] = [report.as_dict() for report in finetune.reports[self._told :]]
            self._told = len(finetune.reports)
            due = finetune.ended or time.monotonic() - self._saved > SAVE_EVERY
            if due and not self._save(finetune) and finetune.ended:
                result |= {"outcome": FAILED, "reason": f"its weights could not be saved: {self._problem}"}
            elif finetune.ended:
                result |= {"outcome": FAILED if finetune.failed else COMPLETE, "reason": finetune.ended}
        except Exception as error:
            result = {"samples": 0, **result, "outcome": FAILED, "reason": _reason(error)}
        if result["outcome"]:
            self._finetune = None
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Saves the trial in the folder of the search; Tune only gets to know that it was tried.

        A trial that can't be saved (a full disk) goes on from the checkpoint before, or from its beginning.
        """
        if self._finetune is not None:
            self._save(self._finetune)
        return {"number": self._number, "problem": self._problem}

    def load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Nothing to do: a trial goes on from its own checkpoints as soon as it is opened."""

    def cleanup(self) -> None:
        """Frees the model."""
        self._finetune = None

    def _begin(self, config: dict[str, Any]) -> None:
        self._number = int(config["number"])
        self._config = TrialConfig(**config["config"])
        self._finetune = None
        self._told = 0
        self._saved = time.monotonic()

    def _open(self) -> FineTune:
        if self._finetune is None:
            self._finetune = FineTune(self._job, self._config)
            self._finetune.restore(checkpoints(self._folder, self._number))
        return self._finetune

    def _save(self, finetune: FineTune) -> bool:
        self._saved = time.monotonic()
        try:
            finetune.save(checkpoints(self._folder, self._number))
        except OSError as error:
            self._problem = _reason(error)
            return False
        self._problem = ""
        return True


def _reason(error: Exception) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:300]
