"""Answers that a client keeps, and when it asks again: by the lifetimes and validators of HTTP (RFC 9111, RFC 9110).

Pure: time comes in. What a server says is fresh is not asked for; what it gave an entity tag is asked for by it, and
not sent again if it is the same. Nothing is guessed: without a lifetime there is none.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from testbed.alto.service.exchange import Answer, Request

_MOST = 16  # resources; a cost map of a million entries has 17 MB
_SECONDS = re.compile(r'"?(?P<number>[0-9]{1,10})"?')
_NOT_MODIFIED = 304


@dataclass
class _Kept:
    answer: Answer
    fresh_until_s: float


class KeptAnswers:
    """The last answers of requests by GET."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()

    def fresh(self, request: Request, now_s: float) -> Answer | None:
        """Return the answer to a request, if the server said that it holds until now."""
        kept = self._of(request)
        return kept.answer if kept is not None and now_s < kept.fresh_until_s else None

    def conditional(self, request: Request) -> Request:
        """Return a request that has the answer sent only if it is another one than is kept."""
        kept = self._of(request)
        tag = None if kept is None else kept.answer.header("ETag")
        if tag is None or request.header("If-None-Match") is not None:
            return request
        return Request(request.method, request.path, {**request.headers, "If-None-Match": tag}, request.body)

    def take(self, request: Request, answer: Answer, now_s: float) -> Answer:
        """Take what was answered to a request as it is without condition; return the answer that holds."""
        kept = self._of(request)
        if answer.status == _NOT_MODIFIED and kept is not None:
            kept.answer = Answer(200, {**kept.answer.headers, **_updated(answer.headers)}, kept.answer.body)
            kept.fresh_until_s = now_s + lifetime_s(kept.answer)
            return kept.answer
        self._kept.pop(_key(request), None)
        if request.method == "GET" and answer.status == 200 and "no-store" not in _directives(answer):
            self._kept[_key(request)] = _Kept(answer, now_s + lifetime_s(answer))
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return answer

    def _of(self, request: Request) -> _Kept | None:
        return self._kept.get(_key(request)) if request.method == "GET" else None


def lifetime_s(answer: Answer) -> float:
    """Return for how long from its arrival an answer is fresh (RFC 9111, section 4.2): 0 if it does not say."""
    directives = _directives(answer)
    if "no-cache" in directives or "no-store" in directives:
        return 0.0
    whole_s = _seconds(directives["max-age"]) if "max-age" in directives else _until_expiry_s(answer)
    return max(0.0, whole_s - _seconds(answer.header("Age")))


def _directives(answer: Answer) -> Mapping[str, str]:
    parts = (part.partition("=") for part in (answer.header("Cache-Control") or "").split(","))
    return {name.strip().lower(): value.strip() for name, _, value in parts if name.strip()}


def _seconds(text: str | None) -> float:
    match = _SECONDS.fullmatch((text or "").strip())
    return float(match["number"]) if match else 0.0


def _until_expiry_s(answer: Answer) -> float:
    try:
        expires, sent = (parsedate_to_datetime(answer.header(name) or "") for name in ("Expires", "Date"))
        seconds = (expires - sent).total_seconds()
    except (TypeError, ValueError, OverflowError, IndexError):  # as a value of 0, which is no date
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _updated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return what a 304 says anew; what it says of a body is of its own, which it has not."""
    of_the_body = ("content-length", "content-encoding", "content-type", "transfer-encoding")
    return {name: value for name, value in headers.items() if name.lower() not in of_the_body}


def _key(request: Request) -> tuple[str, str]:
    return request.path, request.header("Accept") or ""
