"""The order of the trials that were seen at the same place, by score alone or by score and cost. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from autoft.pareto import ranks

Key = tuple[float, ...]
"""What a trial has reached, negated so that smaller is better, then its number: (-gain…, trial)."""


class Ranking:
    """Trials by non-domination rank of gain and cost, then by gain, then by number.

    So trials of a small model compete with each other first, and a larger one goes before them where it is better.
    Where all cost the same, that is the order of their gains, and a place is found in logarithmic time.
    """

    __slots__ = ("_by_cost", "_places")

    def __init__(self) -> None:
        self._by_cost: dict[float, list[Key]] = {}
        self._places: dict[tuple[Key, float], int] = {}  # as of now; empty: to be found out

    def add(self, key: Key, cost: float) -> None:
        """Takes in a trial."""
        insort(self._by_cost.setdefault(cost, []), key)
        self._places = {}

    def discard(self, key: Key, cost: float) -> None:
        """Takes out a trial, if it is there."""
        keys = self._by_cost.get(cost, [])
        place = bisect_left(keys, key)
        if keys[place : place + 1] == [key]:
            del keys[place]
            self._places = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_cost.values()))

    def place(self, key: Key, cost: float) -> int:
        """How many trials go before one that is there."""
        if len(self._by_cost) == 1:
            return bisect_left(self._by_cost[cost], key)
        if not self._places:
            order = _ordered((key, cost) for cost, keys in self._by_cost.items() for key in keys)
            self._places = {entry: place for place, entry in reversed(list(enumerate(order)))}  # equals: the first
        return self._places[key, cost]

    def best(self, count: int) -> list[int]:
        """The numbers of the first `count` trials."""
        # Of each cost, trial k has k better ones before it: nobody further down is among the first.
        first = _ordered((key, cost) for cost, keys in self._by_cost.items() for key in keys[:count])
        return [int(key[-1]) for key, _ in first[:count]]

    def leads(self, key: Key, cost: float) -> bool:
        """Whether a trial that is there stands on the front: first of its cost, and better than all that cost less."""
        return self._by_cost[cost][0] == key and all(
            key[:-1] < keys[0][:-1] for other, keys in self._by_cost.items() if other < cost and keys
        )

    @property
    def leaders(self) -> int:
        """How many stand on the front; one of each cost at most."""
        return sum(self.leads(keys[0], cost) for cost, keys in self._by_cost.items() if keys)


def _ordered(entries: Iterable[tuple[Key, float]]) -> list[tuple[Key, float]]:
    known = list(entries)
    found = ranks([(key[:-1], cost) for key, cost in known])
    return [entry for _, entry in sorted(zip(found, known, strict=True))]
