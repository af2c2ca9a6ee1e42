"""The median rule: a trial goes on from a rung while its best is no worse than the median of those seen there.

Golovin et al., "Google Vizier" (KDD 2017), section 3.2.2, with the values at a rung in place of running averages. A
trial that falls behind ends at once: it is neither paused nor promoted. With two objectives
the order is that of `Ranking`. Pure: no clock, no Ray, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoft.study.ranking import Ranking

GRACE = 5  # trials that a rung has to have seen before it stops one


class Median:
    """The rungs of a search under the median rule; has the methods of `Halving`.

    Args:
        rungs: Samples seen at each rung, rising.
        grace: Trials that a rung lets pass first, itself counted.
    """

    eta = 2  # one in two goes on

    def __init__(self, rungs: Sequence[int], grace: int = GRACE) -> None:
        self.rungs = tuple(rungs)
        self._grace = grace
        self._rankings = {samples: Ranking() for samples in self.rungs}
        self._best: dict[int, tuple[float, ...]] = {}
        self._behind: dict[int, int] = {}  # rung by trial, until it leaves

    def is_rung(self, samples: int) -> bool:
        """Whether a milestone is a rung."""
        return samples in self._rankings

    def record(
        self, trial: int, samples: int, gain: Sequence[float], *, spare: bool = False, cost: float = 0.0
    ) -> bool:
        """Takes down a trial's value at a rung; see `Halving.record`. It matters to nobody what worker it ran on.

        Returns:
            Whether the trial goes on.
        """
        best = self._best[trial] = max(self._best.get(trial, tuple(gain)), tuple(gain))
        ranking = self._rankings[samples]
        key = (*(-part for part in best), 0)  # no number: equals share a place
        ranking.add(key, cost)
        if len(ranking) < self._grace or ranking.place(key, cost) <= (len(ranking) - 1) // 2:
            self._behind.pop(trial, None)
            return True
        self._behind[trial] = samples
        return False

    def crowded_out(self, samples: int) -> list[int]:
        """Those who fell behind at a rung; they will never go on."""
        lost = [trial for trial, rung in self._behind.items() if rung == samples]
        for trial in lost:
            self.leave(trial)
        return lost

    def promotable(self, *, last_call: bool = False) -> int | None:
        """Nobody: who fell behind has ended."""
        return None

    def runner_up(self) -> int | None:
        """Nobody, for the same reason."""
        return None

    def leads(self, trial: int) -> bool:
        """Whether the trial waits for nobody: all do that haven't fallen behind."""
        return trial not in self._behind

    def leave(self, trial: int) -> None:
        """The trial goes on, or has ended."""
        self._behind.pop(trial, None)

    send = withdraw = leave

    def wait(self, trial: int) -> None:
        """Nothing: nobody waits."""
