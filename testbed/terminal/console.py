"""The one way to print: consoles that show text as it is, and interpret nothing in it.

Owns that no markup is read, and that control characters of names, errors and other programs are shown, not sent: an
escape sequence in a name neither colours nor moves anything. Style is what the code says by `Text`. Results go to
standard output, what a command says of itself to standard error.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

PIPED = 120  # characters of a line where no terminal says how many it has
_LEAST_WIDTH, _LEAST_HEIGHT = 40, 10  # what a terminal says below that, is taken for that
_KEPT = frozenset("\n\t")


class Screen(Console):
    """A console that shows what it is given. `width`: of its lines; default: as the terminal says."""

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None, **more: Any):
        super().__init__(
            file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False, soft_wrap=True, **more
        )

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Return width and height, with room for something."""
        width, height = super().size
        return ConsoleDimensions(max(width, _LEAST_WIDTH), max(height, _LEAST_HEIGHT))

    def render_str(self, text: str, **more: Any) -> Text:
        """Return a text as it will be shown, so that it has its room."""
        return super().render_str(visible(text), **more)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return what is written; all that somebody else may have put into it is made visible."""
        if isinstance(renderable, Text) and (shown := visible(renderable.plain)) != renderable.plain:
            renderable = Text(shown, renderable.style)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def output(piped_width: int = PIPED) -> Screen:
    """Return the console of results; a file or a pipe gets lines of `piped_width`."""
    return Screen(width=None if sys.stdout.isatty() else piped_width)


def errors() -> Screen:
    """Return the console of progress, warnings and errors."""
    return Screen(stderr=True)


def complain(text: str) -> None:
    """Print one line of the command line's own to standard error."""
    errors().print(f"dyncast: {one_line(text)}")


def document(text: str) -> None:
    """Print what programs read, such as JSON, to standard output: UTF-8, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
    sys.stdout.buffer.flush()


def step(text: str) -> Text:
    """Return the line by which something that is being done is announced."""
    return Text.assemble(("·", "dim"), " ", one_line(text))


def visible(text: str) -> str:
    """Return a text with its control characters written out; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(sign if sign in _KEPT or _is_shown(sign) else _written_out(sign) for sign in text)


def one_line(text: str) -> str:
    """Return a text as one line."""
    return visible(text).replace("\n", "\\n").replace("\t", " ")


def _is_shown(sign: str) -> bool:
    return sign.isprintable() or unicodedata.category(sign) == "Zs"  # a space, of whatever width


def _written_out(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode() if ord(sign) > 127 else f"\\x{ord(sign):02x}"
