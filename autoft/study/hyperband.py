"""Hyperband: several successive halvings side by side, which differ in how early they begin to compare.

Li et al., "Hyperband" (JMLR 2018), with asynchronous halvings. The first bracket stops trials at every rung, each one
after it begins a rung later, and the last trains every trial to its end: a configuration that starts slowly has
its chance. Pure: no clock, no Ray, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoft.study.halving import PLACES, Halving


class Hyperband:
    """The brackets of a search; has the methods of `Halving`.

    Args:
        rungs: Samples seen at each rung, rising.
        eta: One in `eta` trials of a bracket goes on from a rung.
        places: How many may wait at a rung, over all brackets; each bracket has at least one place.
    """

    def __init__(self, rungs: Sequence[int], eta: int, places: int = PLACES) -> None:
        self.rungs = tuple(rungs)
        self.eta = eta
        count = len(self.rungs) + 1
        self._brackets = [Halving(self.rungs[first:], eta, places=-(-places // count)) for first in range(count)]
        # With s halvings left, (count / (s + 1)) * eta^s trials cost about the same in every bracket.
        self._shares = [count / (s + 1) * eta**s for s in reversed(range(count))]
        self._assigned: list[int] = []  # bracket of each trial, by its number
        self._owed = [0.0] * count

    def bracket(self, trial: int) -> int:
        """The bracket of a trial: a function of its number, in which every share of trials holds early on."""
        while len(self._assigned) <= trial:
            total = sum(self._shares)
            self._owed = [owed + share / total for owed, share in zip(self._owed, self._shares, strict=True)]
            most = max(range(len(self._owed)), key=lambda i: (self._owed[i], -i))
            self._owed[most] -= 1
            self._assigned.append(most)
        return self._assigned[trial]

    def is_rung(self, samples: int) -> bool:
        """Whether a milestone is a rung of any bracket."""
        return self._brackets[0].is_rung(samples)

    def record(
        self, trial: int, samples: int, gain: Sequence[float], *, spare: bool = False, cost: float = 0.0
    ) -> bool:
        """Takes down a trial's value at a rung; see `Halving.record`. Below its bracket's first rung it goes on."""
        bracket = self._brackets[self.bracket(trial)]
        return bracket.record(trial, samples, gain, spare=spare, cost=cost) if bracket.is_rung(samples) else True

    def crowded_out(self, samples: int) -> list[int]:
        """Takes the place from those who wait at a rung behind too many better ones of their bracket."""
        return [
            trial for bracket in self._brackets if bracket.is_rung(samples) for trial in bracket.crowded_out(samples)
        ]

    def promotable(self, *, last_call: bool = False) -> int | None:
        """The trial to go on with, from the bracket that stops the most; None where there is none."""
        found = (bracket.promotable(last_call=last_call) for bracket in self._brackets)
        return next((trial for trial in found if trial is not None), None)

    def runner_up(self) -> int | None:
        """The best of those who wait in the bracket that stops the most, whether or not it has earned its promotion."""
        found = (bracket.runner_up() for bracket in self._brackets)
        return next((trial for trial in found if trial is not None), None)

    def leads(self, trial: int) -> bool:
        """Whether nobody of its bracket is better at the last rung that the trial reached."""
        return self._brackets[self.bracket(trial)].leads(trial)

    def send(self, trial: int) -> None:
        """The trial, if it waits, goes on."""
        self._brackets[self.bracket(trial)].send(trial)

    def leave(self, trial: int) -> None:
        """The trial has ended, beyond the last rung that it reached."""
        self._brackets[self.bracket(trial)].leave(trial)

    def withdraw(self, trial: int) -> None:
        """The trial has ended at the last rung that it reached, or failed."""
        self._brackets[self.bracket(trial)].withdraw(trial)

    def wait(self, trial: int) -> None:
        """The trial waits where it last was."""
        self._brackets[self.bracket(trial)].wait(trial)
