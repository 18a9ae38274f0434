"""A timer on CLOCK_MONOTONIC, exact to some ten microseconds, for an epoll set.

Owns one timerfd. epoll's own time-outs round up to the next millisecond, which is as long as a link's delay or the
service time of an RTP packet. Stdlib only; Python's own timerfd comes with 3.13.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class DeadlineTimer:
    """Readable from the deadline on, until it is cleared or set again."""

    def __init__(self) -> None:
        self._descriptor: int = _LIBC.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._setting = _Itimerspec()
        self._value = self._setting.value
        self._reference = ctypes.byref(self._setting)
        self._deadline_s: float | None = None

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def set(self, deadline_s: float | None) -> None:
        """Fire at `deadline_s` of time.monotonic(), or never."""
        if deadline_s == self._deadline_s:
            return
        self._deadline_s = deadline_s
        seconds = int(deadline_s or 0)
        self._value.seconds = seconds
        # All zero would mean never. Rounded up: a timer that fires too early would fire twice.
        self._value.nanoseconds = 0 if deadline_s is None else min(int((deadline_s - seconds) * 1e9) + 1, 999_999_999)
        _LIBC.timerfd_settime(self._descriptor, _TFD_TIMER_ABSTIME, self._reference, None)

    def clear(self) -> None:
        """Take note that it fired."""
        self._deadline_s = None
        with suppress(BlockingIOError):
            os.read(self._descriptor, 8)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)
