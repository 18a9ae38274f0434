"""What SIGINT, SIGTERM and SIGHUP do to a block of code that has something to take away.

By default SIGTERM ends a process where it stands. Only the main thread can change that; in others these do nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDING_BY_DEFAULT = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_as_exit(numbers: Collection[signal.Signals] = ENDING_BY_DEFAULT) -> Iterator[None]:
    """Have these signals raise SystemExit in the block, as Ctrl-C raises KeyboardInterrupt.

    A signal that somebody handles already is left to them.
    """
    is_main = threading.current_thread() is threading.main_thread()
    mine = [number for number in numbers if is_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in mine:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def deferred_signals(*, redeliver: bool) -> Iterator[None]:
    """Keep back Ctrl-C, SIGTERM and SIGHUP; hand them on after the block if `redeliver`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    former = {number: signal.signal(number, lambda received, _: noted.append(received)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if redeliver:
            for received in noted[:1]:
                signal.raise_signal(received)


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    # A second one would cut the clean-up short, and `timeout` sends two: to the process, then to its group.
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)
