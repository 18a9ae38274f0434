"""Shared memory in which an instance shows what it is like, and ingresses what they have sent it: for `oracle` alone.

One small file per instance, named by its D-BID, mapped by all who write and read it: the out-of-band way by which the
policy `oracle` sees what others only receive in reports (`testbed/dyncast/selection/oracle_view.py`). Stdlib only. The
octets:

    record   u32        CRC-32 of the figures
             64 bytes   the figures, `Figures`
    slots    one per ingress, each:
             u64        how many flows it has sent so far
             256 x f64  when each of the last 256 arrives at the instance, on CLOCK_MONOTONIC, in turn

The instance alone writes the record, and each ingress its slot. A record that is read while it is written fails its
checksum, whatever the order in which a processor makes stores visible, and is read again. A slot is read from its
latest arrival backwards; each of its words is written whole, the count after the time that it counts.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from testbed.dyncast.metrics.levels import RawMetrics

_FIGURES = struct.Struct("@6Q2d")  # native: whole words, where the standard sizes are written byte by byte
_CHECK = struct.Struct("@I")
_WORD = struct.Struct("@Q")
_TIME = struct.Struct("@d")
_RECORD_BYTES = _CHECK.size + _FIGURES.size
_FIRST_SLOT = 128  # the record's, rounded up
_REMEMBERED = 256  # flows under way from one ingress to one instance
_SLOT_BYTES = _WORD.size + _REMEMBERED * _TIME.size
_MOST_READS = 1000  # a writer that was interrupted half-way goes on soon; meanwhile the last figures hold


class Figures(NamedTuple):
    """What is shown: the first fields of `RawMetrics`. What its work does not change (memory, …) is left out."""

    workers: int
    busy_workers: int
    queue_length: int
    queue_limit: int
    sessions: int
    sessions_started: int
    utilisation: float
    service_time_s: float


class TrueState:
    """The shared memory of one instance; `ingresses` is how many there are. Raises OSError if it cannot be mapped."""

    def __init__(self, path: Path, ingresses: int) -> None:
        self._ingresses = ingresses
        size = _FIRST_SLOT + ingresses * _SLOT_BYTES
        # Never cut off: an instance that starts again finds the file as others have mapped it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < size:
                os.truncate(descriptor, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._last: RawMetrics | None = None

    def publish(self, figures: Figures) -> None:
        """Show what the instance is like from now on."""
        packed = _FIGURES.pack(*figures)
        self._memory[:_RECORD_BYTES] = _CHECK.pack(zlib.crc32(packed)) + packed

    def read(self) -> RawMetrics | None:
        """Return what the instance is like; None if it has not shown that yet."""
        for _ in range(_MOST_READS):
            record = self._memory[:_RECORD_BYTES]
            packed = record[_CHECK.size :]
            if _CHECK.unpack_from(record)[0] == zlib.crc32(packed):  # which a file of zeros does not pass
                self._last = RawMetrics(*_FIGURES.unpack(packed))
                break
        return self._last

    def send(self, ingress: int, arrives_s: float) -> None:
        """Note a flow that an ingress sent, and when it will arrive."""
        slot = _slot(ingress)
        (sent,) = _WORD.unpack_from(self._memory, slot)
        _TIME.pack_into(self._memory, slot + _WORD.size + sent % _REMEMBERED * _TIME.size, arrives_s)
        _WORD.pack_into(self._memory, slot, sent + 1)

    def under_way(self, now_s: float) -> int:
        """Return how many flows were sent and have not arrived; of one ingress, at most 256."""
        return sum(self._under_way(_slot(ingress), now_s) for ingress in range(self._ingresses))

    def _under_way(self, slot: int, now_s: float) -> int:
        (sent,) = _WORD.unpack_from(self._memory, slot)
        most = min(sent, _REMEMBERED)
        for back in range(most):
            place = (sent - 1 - back) % _REMEMBERED
            if _TIME.unpack_from(self._memory, slot + _WORD.size + place * _TIME.size)[0] <= now_s:
                return back
        return int(most)


def _slot(ingress: int) -> int:
    return _FIRST_SLOT + ingress * _SLOT_BYTES


def path_of(folder: Path, d_bid: str) -> Path:
    """Return where the shared memory of an instance is, in the folder of a run."""
    return folder / f"{d_bid}.state"
