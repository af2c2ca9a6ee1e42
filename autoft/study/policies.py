"""The rules by which trials are stopped early, by their names in a spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autoft.study.halving import PLACES, Halving
from autoft.study.hyperband import Hyperband
from autoft.study.median import Median


class Policy(Protocol):
    """Who goes on from a rung; `Halving` says what the methods promise.

    Attributes:
        eta: One in so many goes on from a rung.
    """

    eta: int

    def is_rung(self, samples: int) -> bool:
        """Whether a milestone is a rung."""

    def record(
        self, trial: int, samples: int, gain: Sequence[float], *, spare: bool = False, cost: float = 0.0
    ) -> bool:
        """Takes down a value at a rung; whether the trial goes on at once."""

    def crowded_out(self, samples: int) -> list[int]:
        """Those at a rung who will never go on."""

    def promotable(self, *, last_call: bool = False) -> int | None:
        """The waiting trial to go on with, if there is one."""

    def runner_up(self) -> int | None:
        """The waiting trial that a worker to spare may go on with, if there is one."""

    def leads(self, trial: int) -> bool:
        """Whether nobody is better where the trial last was."""

    def send(self, trial: int) -> None:
        """The trial, if it waits, goes on."""

    def leave(self, trial: int) -> None:
        """The trial has ended, beyond the last rung that it reached."""

    def withdraw(self, trial: int) -> None:
        """The trial has ended at the last rung that it reached, or failed."""

    def wait(self, trial: int) -> None:
        """The trial waits where it last was."""


def policy(name: str, rungs: Sequence[int], eta: int, places: int = PLACES) -> Policy:
    """The policy of that name.

    Args:
        name: `halving`, `hyperband`, `median`, or `none` (without rungs).
        rungs: Samples seen at each rung, rising.
        eta: One in `eta` goes on; the median rule has its own share.
        places: How many may wait at a rung.
    """
    match name:
        case "hyperband":
            return Hyperband(rungs, eta, places)
        case "median":
            return Median(rungs)
        case "halving" | "none":
            return Halving(rungs if name == "halving" else (), eta, places)
    raise ValueError(f"there is no scheduler {name!r}")
