"""Standard output and error that take whatever is written: a run never ends, nor waits, for its words.

Owns the three standard descriptors of the process. Who reads may have gone, the disk may be full, a descriptor may be
closed, the encoding may lack a character, the reader may stand still: the words are lost then, and nothing else is.
What is said is not its business.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

EXIT_READER_GONE = 141  # what a shell reports of a program that SIGPIPE has ended

_PATIENCE_MS = 100  # with a reader that takes nothing, while nothing may wait
_FITS_IN_A_PIPE = select.PIPE_BUF  # so much never blocks where there is room at all
_ENCODES_ALL = "dyncast.readable"
_LOOKS_LIKE = {"·": "-", "…": "...", "±": "+-", "█": "#", "░": ".", "▒": "+", "━": "=", "✗": "x", "●": "*", "○": "o"}


class _Output(io.FileIO):
    """A descriptor to write to. `lost`: why nothing is written any more."""

    lost: OSError | None = None
    waits = True
    _had_room = True

    def write(self, data: object, /) -> int:
        """Write some of it, or drop all."""
        octets = memoryview(data).cast("B")  # type: ignore[arg-type]
        while self.lost is None and self._has_room():
            try:
                written = super().write(octets[:_FITS_IN_A_PIPE])
            except OSError as error:
                self._lose(error)
                break
            if written is not None:  # else the descriptor does not block, and was filled by somebody else
                return written
        return len(octets)

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        patience_ms = _PATIENCE_MS if self._had_room else 0  # once for each time that the reader stands still
        self._had_room = bool(poll.poll(None if self.waits else patience_ms))
        return self._had_room

    def _lose(self, error: OSError) -> None:
        """Write nothing any more, neither here nor in programs that inherit the descriptor."""
        self.lost = error
        _open_nothing(self.fileno())


_outputs: dict[int, _Output] = {}


def prepare() -> None:
    """Make the standard streams of this process such; to be called before it opens anything else."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would become it
            _open_nothing(descriptor)
    codecs.register_error(_ENCODES_ALL, _readable)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = _replaced(1, sys.stdout), _replaced(2, sys.stderr)


def exit_code(code: int) -> int:
    """Return the exit code of a command that would end with `code`: a success whose words were lost is none."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    lost = _outputs[1].lost if 1 in _outputs else None
    if code or lost is None:
        return code
    return EXIT_READER_GONE if lost.errno == errno.EPIPE else 1


def why_lost() -> str:
    """Return why standard output took no more, unless its reader has just gone; empty if it took all."""
    lost = _outputs[1].lost if 1 in _outputs else None
    return "" if lost is None or lost.errno == errno.EPIPE else f"standard output: {lost.strerror}"


@contextmanager
def never_waiting() -> Iterator[None]:
    """Drop what the reader does not take at once, while something goes on that must not wait."""
    for output in _outputs.values():
        output.waits = False
    try:
        yield
    finally:
        for output in _outputs.values():
            output.waits = True


def _replaced(descriptor: int, former: TextIO | None) -> TextIO:
    if former is not None:
        former.flush()
    output = _outputs[descriptor] = _Output(descriptor, "w", closefd=False)
    encoding = former.encoding if former is not None else "utf-8"
    is_read_at_once = descriptor == 2 or output.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding=encoding, errors=_ENCODES_ALL, line_buffering=is_read_at_once
    )


def _open_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
    os.set_inheritable(descriptor, True)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Put what an encoding lacks in other characters: alike where only looks matter, else by number."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    shown = (_LOOKS_LIKE.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking)
    return "".join(shown), error.end
