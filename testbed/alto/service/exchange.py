"""Requests and answers of HTTP as values; whoever has a socket makes one of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.alto import json_octets, media_types
from testbed.alto.errors import AltoError


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `path` may be an absolute URI, `client_address` is where it came from."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client_address: str | None = None

    def header(self, name: str) -> str | None:
        """Return a header, however it is capitalised."""
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; its length and date are the business of whoever sends it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header, however it is capitalised."""
        return _header(self.headers, name)


def refusal(error: AltoError) -> Answer:
    """Return the answer that an ALTO error is (RFC 7285, section 8.5)."""
    return Answer(400, {"Content-Type": media_types.ERROR}, json_octets.encode(error.document))


def plain(status: int, text: str, **headers: str) -> Answer:
    """Return an answer of HTTP's own, of which ALTO has no error to say; names of headers have underscores here."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8", **named}, f"{text}\n".encode())


def overloaded(retry_after_s: int) -> Answer:
    """Return the answer of a server that cannot take a request now (RFC 7285, section 8.5.3)."""
    return plain(503, f"overloaded; try again in {retry_after_s} s", Retry_After=str(retry_after_s))


def elsewhere(uri: str) -> Answer:
    """Return the answer that sends a client to another server for now (RFC 7285, section 8.5.3)."""
    return plain(307, f"for now at {uri}", Location=uri)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    if value is not None:
        return value
    wanted = name.lower()
    return next((value for said, value in headers.items() if said.lower() == wanted), None)
