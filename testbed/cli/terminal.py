"""Where a command prints: results to standard output, what it says of itself to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

_PIPED = 120  # characters of a line where no terminal says how many it has


def output(piped_width: int = _PIPED) -> Console:
    """Return the console of results; a file or a pipe gets lines of `piped_width`."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else piped_width, soft_wrap=True)


def errors() -> Console:
    """Return the console of progress, warnings and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print one line of the command line's own to standard error."""
    errors().print(f"dyncast: {text}", markup=False)
