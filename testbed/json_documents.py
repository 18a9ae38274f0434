"""JSON that somebody else wrote, read so that whatever it says is one kind of error, and the same on every Python.

Nesting that is too deep, numbers of too many digits and `NaN`, which JSON does not have, are as malformed as a missing
bracket. How deep the reader of Python itself goes depends on its release: what is too deep is said here.
"""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100  # levels; no document of ours has a dozen
_TOO_DEEP = "nested too deeply"


def parse(text: str | bytes, *, deepest: int = DEEPEST, **hooks: Any) -> Any:
    """Return what a JSON text of at most `deepest` levels says; `hooks` as of `json.loads`. Raises ValueError."""
    try:
        document = json.loads(text, parse_constant=_refuse, **hooks)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _is_deeper(document, deepest):
        raise ValueError(_TOO_DEEP)
    return document


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number of JSON")


def _is_deeper(value: object, levels: int) -> bool:
    """Return whether a document has more levels; leaves of a large one are not looked into."""
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(part, levels - 1) for part in value.values() if type(part) in (dict, list))
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(part, levels - 1) for part in value if type(part) in (dict, list))
    return False
