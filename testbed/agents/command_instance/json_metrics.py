"""Figures that an application tells of itself: a JSON document at a local URL, read by pointers (RFC 6901).

Owns one exchange and the reading of it. Which figures there are, and what they replace, is the instance's business.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from testbed.errors import TestbedError

_MAX_ANSWER_BYTES = 1 << 20


class UnreadableFigures(TestbedError, ValueError):
    """An answer that tells nothing usable, and why."""


@dataclass(frozen=True)
class Pointer:
    """Where in a document a figure is, and what it is multiplied by to be in its metric's unit."""

    at: str
    """Where it is: a JSON pointer (RFC 6901)."""
    times: float = 1.0
    """What it is multiplied by to be in the unit of its metric."""


def fetch(url: str, timeout_s: float) -> Any:
    """Return the document at an http:// URL. Blocks. Raises UnreadableFigures or OSError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise UnreadableFigures(f"status {answer.status}")
        return json.loads(answer.read(_MAX_ANSWER_BYTES))
    except (http.client.HTTPException, ValueError) as error:
        raise UnreadableFigures(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def read(document: Any, pointers: Mapping[str, Pointer]) -> dict[str, float]:
    """Return each figure that a document has, by metric. Raises UnreadableFigures naming the pointer."""
    return {metric: _number(document, pointer) * pointer.times for metric, pointer in pointers.items()}


def _number(document: Any, pointer: Pointer) -> float:
    value = document
    for step in pointer.at.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(step)] if isinstance(value, Sequence) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UnreadableFigures(f"there is nothing at {pointer.at}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UnreadableFigures(f"{pointer.at} is {value!r}, which is no number >= 0"[:200])
    return value
