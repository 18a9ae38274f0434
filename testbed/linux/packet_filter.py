"""Classic BPF: a program by which the kernel decides which packets a socket takes.

Owns the layout of its instructions and how a socket gets one. Knows nothing of what is in packets. Stdlib only.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

Instruction = tuple[int, int, int, int]
"""Operation, how many instructions to skip if it holds and if not, operand."""

# Load byte, halfword, word; the same at X; X = length of the IPv4 header; and; jump if equal, if any bit; return.
LDB, LDH, LDW, LDB_X, LDH_X, LDX_HEADER = 0x30, 0x28, 0x20, 0x50, 0x48, 0xB1
AND, JEQ, JSET, RET = 0x54, 0x15, 0x45, 0x06

PACKET_TYPE = 0xFFFFF004
"""Where a word is loaded from that is no part of the packet: whether it is outgoing (socket.PACKET_OUTGOING)."""

_SO_ATTACH_FILTER = 26
_LAYOUT = struct.Struct("=HBBI")


def attach(opened: socket.socket, program: Sequence[Instruction]) -> None:
    """Have a non-blocking socket take only what the program lets through; what came before is forgotten."""
    code = ctypes.create_string_buffer(b"".join(_LAYOUT.pack(*instruction) for instruction in program))
    opened.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )  # fmt: skip
    with suppress(BlockingIOError):
        while opened.recv(1):
            pass
