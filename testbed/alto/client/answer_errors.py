"""What a client makes of answers that are of no use; each names the URI."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.errors import TestbedError


class AltoAnswerError(TestbedError):
    """An answer that is of no use: its status, its media type, its size, or a field of it."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri}: {reason}")
        self.uri = uri


class AltoRefused(AltoAnswerError):
    """A server's error: its code, and the field and value where it says them (RFC 7285, section 8.5.2)."""

    def __init__(self, uri: str, status: int, meta: Mapping[str, str]) -> None:
        said = ", ".join(f"{name} {text!r}" for name, text in meta.items() if name != "code")
        self.status, self.code = status, meta.get("code", "")
        self.field, self.value = meta.get("field"), meta.get("value")
        super().__init__(uri, f"the server answers {status} {self.code}" + (f": {said}" if said else ""))


class AltoOverloaded(AltoAnswerError):
    """A server that cannot answer now: when to ask again, if it says so (RFC 7285, section 8.5.3)."""

    def __init__(self, uri: str, retry_after_s: int | None) -> None:
        when = "" if retry_after_s is None else f"; ask again in {retry_after_s} s"
        super().__init__(uri, f"the server cannot answer now{when}")
        self.retry_after_s = retry_after_s


class StaleAnswerError(AltoAnswerError):
    """An answer that depends on another version of a map than the one at hand (RFC 7285, section 11.3.2.6)."""
