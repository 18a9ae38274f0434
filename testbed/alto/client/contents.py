"""The content of an answer: status, media type and size checked, JSON read (RFC 7285, sections 8.3.4 and 8.5)."""

from __future__ import annotations

from typing import Any

from testbed.alto import json_octets, media_types
from testbed.alto.client.answer_errors import AltoAnswerError, AltoOverloaded, AltoRefused
from testbed.alto.service.exchange import Answer

LARGEST_ANSWER = 1 << 26  # octets: a cost map of a million entries has 17 MB


def content(uri: str, answer: Answer, media_type: str, largest: int = LARGEST_ANSWER) -> dict[str, Any]:
    """Return the object that an answer of a media type is. Raises AltoAnswerError, or one of its kinds."""
    found = media_types.essence(answer.header("Content-Type") or "")
    if answer.status == 503:
        raise AltoOverloaded(uri, _seconds(answer.header("Retry-After")))
    if found == media_types.ERROR:
        raise AltoRefused(uri, answer.status, _error_meta(_object(uri, answer, largest)))
    if answer.status != 200:
        raise AltoAnswerError(uri, f"the server answers {answer.status}{_location(answer)}")
    if found != media_type:
        what = (
            "a directory came in its place"
            if found == media_types.DIRECTORY
            else f"it is {found or 'of no media type'}"
        )
        raise AltoAnswerError(uri, f"{media_type} was asked for, and {what}")
    return _object(uri, answer, largest)


def _object(uri: str, answer: Answer, largest: int) -> dict[str, Any]:
    if len(answer.body) > largest:
        raise AltoAnswerError(uri, f"the answer has {len(answer.body)} octets; more than {largest} are not read")
    try:
        document = json_octets.parse(answer.body)
    except ValueError as error:
        raise AltoAnswerError(uri, f"the answer is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise AltoAnswerError(uri, "the answer is no object")
    return document


def _error_meta(document: dict[str, Any]) -> dict[str, str]:
    meta = document.get("meta")
    members = meta.items() if isinstance(meta, dict) else ()
    known = ("code", "field", "value", "syntax-error")
    return {name: text for name, text in members if name in known and isinstance(text, str)}


def _location(answer: Answer) -> str:
    location = answer.header("Location")
    return f", and points to {location}" if location else ""


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
