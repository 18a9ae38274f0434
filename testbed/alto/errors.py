"""Errors of ALTO: what a server answers to a bad request (RFC 7285, section 8.5), and what cannot be fed to a server.

A client's errors stand in `testbed.alto.client`.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from testbed.alto import json_octets
from testbed.errors import InputError, TestbedError

_LONGEST_VALUE = 256  # characters of a wrong value that an answer repeats


class ErrorCode(str, Enum):
    """The codes of table 1."""

    SYNTAX = "E_SYNTAX"
    MISSING_FIELD = "E_MISSING_FIELD"
    INVALID_FIELD_TYPE = "E_INVALID_FIELD_TYPE"
    INVALID_FIELD_VALUE = "E_INVALID_FIELD_VALUE"


class AltoError(TestbedError):
    """A request that a server refuses; `document` is its answer."""

    def __init__(
        self, code: ErrorCode, field: str | None = None, value: str | None = None, syntax_error: str | None = None
    ) -> None:
        said = {"field": field, "value": value, "syntax-error": syntax_error}
        self.code, self.field, self.value, self.syntax_error = code, field, value, syntax_error
        self.meta: dict[str, str] = {
            "code": code.value,
            **{key: text for key, text in said.items() if text is not None},
        }
        super().__init__(" ".join(f"{key}={text!r}" for key, text in self.meta.items()))

    @property
    def document(self) -> dict[str, Any]:
        """Return the error resource (8.5.2)."""
        return {"meta": self.meta}


class AltoDataError(InputError):
    """What is to be served, asked for or read cannot be: a map, a cost, a directory; the text names it."""


def syntax_error(reason: str) -> AltoError:
    """Return the error of a body that is no JSON."""
    return AltoError(ErrorCode.SYNTAX, syntax_error=reason)


def missing_field(field: str) -> AltoError:
    """Return the error of a field that is not there; `field` is its full path."""
    return AltoError(ErrorCode.MISSING_FIELD, field=field)


def invalid_type(field: str | None) -> AltoError:
    """Return the error of a field of the wrong type."""
    return AltoError(ErrorCode.INVALID_FIELD_TYPE, field=field)


def invalid_value(field: str, value: object) -> AltoError:
    """Return the error of a wrong value, which is repeated as a string."""
    text = value if isinstance(value, str) else json_octets.encode(value).decode()
    return AltoError(ErrorCode.INVALID_FIELD_VALUE, field=field, value=text[:_LONGEST_VALUE])
