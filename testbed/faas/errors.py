"""What the API refuses: a status of HTTP and one line for whoever asked."""

from __future__ import annotations

from testbed.errors import TestbedError


class ApiError(TestbedError):
    """A request that is answered with an error; `status` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def malformed(text: str) -> ApiError:
    """Return the error of a request that is not as the API has it."""
    return ApiError(400, text)
