"""How long what was reported holds: until when each thing does, and what does no more. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Expiry(Generic[Key]):
    """Until when each key holds; one that is set again holds until then, be it sooner or later."""

    def __init__(self) -> None:
        self._until_s: dict[Key, float] = {}
        self._waiting: list[tuple[float, int, Key]] = []  # those set again stand in it more than once, until their time
        self._number = count()  # keys need no order

    def hold(self, key: Key, until_s: float) -> None:
        """Have a key hold until a time."""
        if self._until_s.get(key) != until_s:
            self._until_s[key] = until_s
            heappush(self._waiting, (until_s, next(self._number), key))

    def take_expired(self, now_s: float) -> list[Key]:
        """Return the keys whose time has come, and know them no more."""
        expired = []
        while self._waiting and self._waiting[0][0] <= now_s:
            until_s, _, key = heappop(self._waiting)
            if self._until_s.get(key) == until_s:
                del self._until_s[key]
                expired.append(key)
        return expired

    def next_s(self) -> float | None:
        """Return when the next key may expire; None if none will."""
        while self._waiting and self._until_s.get(self._waiting[0][2]) != self._waiting[0][0]:
            heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None
