"""Content negotiation and conditional requests (RFC 9110, sections 12.5.1, 8.3 and 13.1.2)."""

from __future__ import annotations

import re

_QUALITY = re.compile(r"q=(?P<number>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_TAGS = re.compile(r'(?:W/)?"(?P<tag>[^"]*)"')


def quality(accept: str | None, media_type: str) -> float:
    """Return how much a client wants a media type, from 0 to 1: by the range that names it most exactly."""
    if accept is None or not accept.strip():
        return 1.0
    main = media_type.partition("/")[0]
    ranges = _ranges(accept)
    for wanted in (media_type, f"{main}/*", "*/*"):
        if wanted in ranges:
            return ranges[wanted]
    return 0.0


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [match["number"] for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
        ranges[media_range.lower()] = float(weights[-1]) if weights else 1.0
    return ranges


def is_current(if_none_match: str | None, tag: str) -> bool:
    """Return whether a client has what a tag stands for; the comparison is the weak one."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in (match["tag"] for match in _TAGS.finditer(if_none_match))
