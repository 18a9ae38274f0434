"""How often each flow of one client was seen at an instance, and when: a file that outlives a killed writer.

Counters in memory that is shared with the file: to count costs next to nothing, nothing has to be written at the end,
and what was counted before a SIGKILL stands there. A flow is a protocol and a source port.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

UDP, TCP = "udp", "tcp"
_PROTOCOLS = (UDP, TCP)
_PORTS = 1 << 16
_WORDS = 3  # of a flow: packets, time of the first and of the last in ns
_WORD_BYTES = 8


class Sighting(NamedTuple):
    """A flow at an instance."""

    proto: str
    src_port: int
    packets: int
    first_ns: int
    last_ns: int


class FlowLedger:
    """Counts of one instance, from its start to its end. Makes the file if there is none."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as stream:
            stream.truncate(len(_PROTOCOLS) * _PORTS * _WORDS * _WORD_BYTES)
            self._map = mmap.mmap(stream.fileno(), 0)
        self._words = memoryview(self._map).cast("q")

    def count(self, proto: str, src_port: int, now_ns: int) -> None:
        """Count a packet."""
        words, at = self._words, (_PROTOCOLS.index(proto) * _PORTS + src_port) * _WORDS
        if not words[at]:
            words[at + 1] = now_ns
        words[at] += 1
        words[at + 2] = now_ns

    def total(self) -> int:
        """Return how many packets there were in all."""
        return sum(self._words[::_WORDS])

    def sightings(self) -> Iterator[Sighting]:
        """Return the flows that were seen."""
        words = self._words
        for number, packets in enumerate(words[::_WORDS]):
            if packets:
                proto, src_port = divmod(number, _PORTS)
                at = number * _WORDS
                yield Sighting(_PROTOCOLS[proto], src_port, packets, words[at + 1], words[at + 2])
