"""Programs that use Scapy, which are under its licence (GPL-2.0-only) and run as processes of their own.

Owns the way to them: nothing here imports Scapy. RTP packets are described in octets, and come back as octets.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from testbed.errors import TestbedError

_PROGRAMS = Path(__file__).parents[1] / "scapy_programs"
_DESCRIPTION = struct.Struct("!BBHIHHI")
_LENGTH = struct.Struct("!I")


class ScapyError(TestbedError):
    """A program that uses Scapy failed; one line."""


class RtpPacket(NamedTuple):
    """An RTP packet to be built, with a header extension of zeros."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    extension_profile: int
    extension_words: int
    payload: bytes


def program(name: str) -> list[str]:
    """Return the command that starts a program by its name."""
    return [sys.executable, "-I", str(_PROGRAMS / f"{name}.py")]


def built(packets: Iterable[RtpPacket]) -> Iterator[bytes]:
    """Yield RTP packets as octets, in their order. Raises ScapyError."""
    descriptions = b"".join(_DESCRIPTION.pack(*item[:-1], len(item.payload)) + item.payload for item in packets)
    done = subprocess.run(program("rtp_packets"), input=descriptions, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ScapyError(f"Scapy built no packets: {said[-1] if said else f'exit code {done.returncode}'}")
    at = 0
    while at < len(done.stdout):
        (length,) = _LENGTH.unpack_from(done.stdout, at)
        at += _LENGTH.size
        yield done.stdout[at : at + length]
        at += length
