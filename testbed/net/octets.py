"""Messages as octets: names, counts and times as they are written, and how they are read one after another. Pure.

What is malformed raises ValueError, IndexError or struct.error, for the reader of a whole message to turn into an error
of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

LARGEST_U32 = (1 << 32) - 1
LARGEST_NS = (1 << 63) - 1  # of any time: a float of seconds turns into so many nanoseconds again
_COUNT = struct.Struct("!H")

Item = TypeVar("Item")


class Reader:
    """Take one thing after another from octets."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, form: struct.Struct) -> tuple[int, ...]:
        """Return the numbers of a structure."""
        values = form.unpack_from(self.data, self.position)
        self.position += form.size
        return values

    def octets(self, count: int) -> bytes:
        """Return so many octets."""
        taken = bytes(self.data[self.position : self.position + count])
        if len(taken) < count:
            raise ValueError("cut short")
        self.position += count
        return taken

    def name(self) -> str:
        """Return a text with its length in front."""
        return self.octets(self.octets(1)[0]).decode()

    def several(self, read: Callable[[], Item]) -> tuple[Item, ...]:
        """Return as many things as the count in front of them says."""
        (count,) = self.take(_COUNT)
        return tuple(read() for _ in range(count))


def named(name: str) -> bytes:
    """Return a text of at most 255 octets with its length in front."""
    octets = name.encode()
    return bytes([len(octets)]) + octets


def listed(items: Sequence[Item], written: Callable[[Item], bytes]) -> bytes:
    """Return things with their count in front."""
    return _COUNT.pack(len(items)) + b"".join(map(written, items))


def parted(items: Iterable[Item], written: Callable[[Item], bytes], most_octets: int) -> Iterable[tuple[Item, ...]]:
    """Return things in groups of so many octets at most each; one empty group if there are none."""
    group: list[Item] = []
    octets = 0
    for item in items:
        length = len(written(item))
        if group and octets + length > most_octets:
            yield tuple(group)
            group, octets = [], 0
        group.append(item)
        octets += length
    yield tuple(group)


def microseconds(time_s: float, most: int = LARGEST_U32) -> int:
    """Return a time as a field of 32 bits has it."""
    return min(most, max(0, round(time_s * 1e6)))


def nanoseconds(time_s: float) -> int:
    """Return a time as a field of 64 bits has it."""
    return min(max(0, round(time_s * 1e9)), LARGEST_NS)
