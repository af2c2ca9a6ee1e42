"""The order of the trials that were seen at the same place, by score alone or by score and cost. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

Key = tuple[float, ...]
"""What a trial has reached, negated so that smaller is better, then its number: (-gain…, trial)."""


class Ranking:
    """Trials by non-domination rank of gain and cost, then by gain, then by number.

    A trial dominates another one when it has no less gain at no more cost, and is better in one of them. Rank 0 is for
    those that none dominates, rank 1 for those that then are left without one that does, and so on (Deb et al.,
    "NSGA-II", 2002). So trials of a small model compete with each other first, and those of a larger one go before
    them where they are better. Where all cost the same, that is the order of their gains.
    """

    __slots__ = ("_by_cost", "_order", "_places")

    def __init__(self) -> None:
        self._by_cost: dict[float, list[Key]] = {}
        # The places that are known, and the iterator that finds more; until the next change.
        self._places: dict[tuple[Key, float], int] = {}
        self._order: Iterator[tuple[int, tuple[Key, float]]] | None = None

    def add(self, key: Key, cost: float) -> None:
        """Takes in a trial."""
        insort(self._by_cost.setdefault(cost, []), key)
        self._order = None

    def discard(self, key: Key, cost: float) -> None:
        """Takes out a trial, if it is there."""
        keys = self._by_cost.get(cost, [])
        place = bisect_left(keys, key)
        if keys[place : place + 1] == [key]:
            del keys[place]
            self._order = None

    def __len__(self) -> int:
        return sum(map(len, self._by_cost.values()))

    def place(self, key: Key, cost: float) -> int:
        """How many trials go before one that is there; where its key stands there twice, before the first."""
        if len(self._by_cost) == 1:
            return bisect_left(self._by_cost[cost], key)
        if self._order is None:
            self._order, self._places = enumerate(self._fronts()), {}
        while (key, cost) not in self._places:
            place, entry = next(self._order)
            self._places.setdefault(entry, place)
        return self._places[key, cost]

    def best(self, count: int) -> list[int]:
        """The numbers of the first `count` trials."""
        return [int(key[-1]) for key, _ in islice(self._fronts(), count)]

    def leads(self, key: Key, cost: float) -> bool:
        """Whether a trial that is there is the first of its cost, and better than all that cost less."""
        return self._by_cost[cost][0] == key and all(
            key[:-1] < keys[0][:-1] for other, keys in self._by_cost.items() if other < cost and keys
        )

    @property
    def leaders(self) -> int:
        """How many trials lead; one of each cost at most."""
        return sum(self.leads(keys[0], cost) for cost, keys in self._by_cost.items() if keys)

    def _fronts(self) -> Iterator[tuple[Key, float]]:
        """The trials in their order, one rank after the other.

        Costs are few, one for each model. Of each, only the best that are left can be of the next rank, and are if they
        are better than what is left at a lower cost.
        """
        lists = [(cost, keys, len(keys)) for cost, keys in sorted(self._by_cost.items())]
        at = [0] * len(lists)
        while True:
            found: list[tuple[Key, float]] = []
            for i, (cost, keys, end) in enumerate(lists):
                gain = keys[at[i]][:-1] if at[i] < end else None
                if gain is None or (found and gain >= found[-1][0][:-1]):
                    continue
                while at[i] < end and keys[at[i]][:-1] == gain:
                    found.append((keys[at[i]], cost))
                    at[i] += 1
            if not found:
                return
            yield from sorted(found)
