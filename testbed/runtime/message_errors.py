"""What goes wrong while one message is handled: that message is dropped, and the process goes on with the next.

Owns the count of such errors, and what is said of them: whoever sends one bad message may send a million, so of each
sort of error the first is said, with its trace. Timers and the session with a switch are no messages: what goes wrong
there ends a process, for it would look alive and do nothing.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Callable

UNHANDLED = "unhandled_"  # before the kind of message, what they are counted as


def to_stderr(text: str) -> None:
    """Print a text where the log of a process is."""
    print(text, file=sys.stderr, flush=True)


class MessageErrors:
    """Counts errors in `counters`, by kind of message (`unhandled_<kind>`); `say` takes the first of each sort."""

    def __init__(self, counters: Counter[str], say: Callable[[str], None] = to_stderr) -> None:
        self.counters = counters
        self._say = say
        self._said: set[tuple[str, type[Exception], str | None, int | None]] = set()

    def note(self, kind: str, error: Exception) -> None:
        """Count a message of a kind that could not be handled, and say so if it is the first of its sort."""
        self.counters[f"{UNHANDLED}{kind}"] += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        sort = (kind, type(error), place.filename, place.lineno)
        if sort in self._said:
            return
        self._said.add(sort)
        trace = "".join(traceback.format_exception(error))
        self._say(f"{kind}: a message could not be handled and is dropped; more like it are only counted\n{trace}")
