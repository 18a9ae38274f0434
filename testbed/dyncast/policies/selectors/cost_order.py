"""Items in the order of their costs, kept as costs change: the cheapest is found at once, ties are drawn evenly."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from random import Random
from typing import Generic, TypeVar


class Priced:
    """What can be ordered; `place` is its place among those of the same cost."""

    __slots__ = ("cost", "place")
    cost: float
    place: int


Item = TypeVar("Item", bound=Priced)


class CostOrder(Generic[Item]):
    """A heap of costs, and for each cost the items that have it."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._items: dict[float, list[Item]] = {}

    def replace_all(self, items: Iterable[Item]) -> None:
        """Begin again with these items at the costs they have."""
        self._items = {}
        for item in items:
            self._append(item)
        self._costs = list(self._items)
        heapify(self._costs)

    def add(self, item: Item) -> None:
        """Put in an item at the cost it has."""
        if item.cost not in self._items:
            heappush(self._costs, item.cost)
        self._append(item)

    def remove(self, item: Item) -> None:
        """Take out an item."""
        ties = self._items[item.cost]
        last = ties.pop()
        if last is not item:
            ties[item.place] = last
            last.place = item.place
        if not ties:
            del self._items[item.cost]  # the cost itself leaves the heap when it comes to the top

    def move(self, item: Item, cost: float) -> None:
        """Change the cost of an item."""
        if cost != item.cost:
            self.remove(item)
            item.cost = cost
            self.add(item)

    def cheapest(self, rng: Random) -> Item:
        """Return an item of the least cost, any of them alike. There must be one."""
        while self._costs[0] not in self._items:
            heappop(self._costs)
        ties = self._items[self._costs[0]]
        return ties[0] if len(ties) == 1 else rng.choice(ties)

    def _append(self, item: Item) -> None:
        ties = self._items.setdefault(item.cost, [])
        item.place = len(ties)
        ties.append(item)
