"""Figures that an application reports of itself: a JSON document at a local URL, read by pointers (RFC 6901).

Owns one exchange and the reading of it. Which figures there are, and what they replace, is the instance's business.
"""

from __future__ import annotations

import http
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from testbed import json_documents
from testbed.agents.http import client
from testbed.errors import TestbedError

_MOST = 2.0**53  # of any figure: up to there, a float is every whole number


class UnreadableFigures(TestbedError, ValueError):
    """An answer that has nothing usable, and why."""


@dataclass(frozen=True)
class Pointer:
    """Where in a document a figure is, and what it is multiplied by to be in its metric's unit."""

    at: str
    """Where it is: a JSON pointer (RFC 6901)."""
    times: float = 1.0
    """What it is multiplied by to be in the unit of its metric."""


def fetch(url: str, limit_s: float) -> Any:
    """Return the document at an http:// URL, within a time. Blocks. Raises UnreadableFigures or OSError."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        answer = client.get(parts.hostname or "", parts.port or 80, path, limit_s)
    except client.BadAnswer as error:
        raise UnreadableFigures(str(error)) from error
    return document(answer)


def document(answer: client.Answer) -> Any:
    """Return the document that an answer is. Raises UnreadableFigures."""
    if answer.status != http.HTTPStatus.OK:
        raise UnreadableFigures(f"status {answer.status}")
    try:
        return json_documents.parse(answer.body)
    except ValueError as error:
        raise UnreadableFigures(str(error)[:200]) from error


def read(document: Any, pointers: Mapping[str, Pointer]) -> dict[str, float]:
    """Return each figure that a document has, by metric. Raises UnreadableFigures naming the pointer."""
    return {metric: _figure(document, pointer) for metric, pointer in pointers.items()}


def _figure(document: Any, pointer: Pointer) -> float:
    value = document
    for step in pointer.at.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(step)] if isinstance(value, Sequence) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UnreadableFigures(f"there is nothing at {pointer.at}") from None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    figure: float = value * pointer.times if is_number and 0 <= value <= _MOST else math.nan
    if not figure <= _MOST:
        raise UnreadableFigures(f"{pointer.at} is {value!r}"[:160] + f", which is no number in 0..{_MOST:g}")
    return figure
