"""Requests of update streams that are refused: with an error of ALTO (RFC 8895, 6.5, 7.5), or by the status alone."""

from __future__ import annotations

from testbed.alto.errors import AltoError
from testbed.errors import TestbedError


class StreamUnavailable(TestbedError):
    """A request that HTTP's status answers: no such stream (404), too long (413), overload (503; RFC 7285, 8.5.3)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def below(path: str, error: AltoError) -> AltoError:
    """Return the error of a document that lies at `path` within the request."""
    field = path if error.field is None else f"{path}/{error.field}"
    return AltoError(error.code, field, error.value, error.syntax_error)
