"""What a container writes, cut into activations at the sentinel, in lines with their time and stream."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
_MOST_LINE_BYTES = 1 << 16
_MOST_IDLE_BYTES = 1 << 16


class LogStream:
    """One of the two streams of a container. Lines beyond the limit are dropped, and a last one says so."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._partial = b""
        self._lines: list[tuple[str, str]] = []  # time, text
        self._octets = 0
        self._limit = _MOST_IDLE_BYTES
        self._is_cut = False
        self._marked = asyncio.Event()
        self._has_ended = False

    def begin(self, most_bytes: int) -> None:
        """Begin an activation; what was written since the last one belongs to it."""
        self._limit = most_bytes
        self._marked.clear()

    def feed(self, part: bytes) -> None:
        """Take in octets."""
        lines = (self._partial + part).split(b"\n")
        self._partial = lines.pop()
        for line in lines:
            self._take(line)
        while len(self._partial) > _MOST_LINE_BYTES:
            self._take(self._partial[:_MOST_LINE_BYTES])
            self._partial = self._partial[_MOST_LINE_BYTES:]

    def end(self) -> None:
        """Nothing more will come."""
        if self._partial:
            self._take(self._partial)
            self._partial = b""
        self._has_ended = True
        self._marked.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the sentinel, or the end of the stream; return whether it came."""
        if self._marked.is_set():
            return True
        try:
            await asyncio.wait_for(self._marked.wait(), timeout_s)
        except asyncio.TimeoutError:
            return False
        return True

    def take(self) -> list[str]:
        """Return the lines of the activation that ended."""
        lines = [f"{when} {self._name}: {text}" for when, text in self._lines]
        if self._is_cut:
            lines.append(
                f"{_now()} {self._name}: more was written than the log limit of the action allows, and dropped"
            )
        self._lines, self._octets, self._is_cut, self._limit = [], 0, False, _MOST_IDLE_BYTES
        return lines

    def rest(self) -> list[str]:
        """Return the lines that belong to no activation yet."""
        return [text for _, text in self._lines]

    def _take(self, line: bytes) -> None:
        marked = line.rstrip(b"\r")
        if marked.endswith(SENTINEL):  # in a line of its own, or after output without an end of line
            self._marked.set()
            line = marked[: -len(SENTINEL)]
            if not line:
                return
        self._octets += len(line) + 1
        if self._octets > self._limit:
            self._is_cut = True
            return
        self._lines.append((_now(), line.decode("utf-8", errors="replace")))


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
