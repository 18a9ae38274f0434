"""What a run came to, from what its container answered or why it answered nothing, in the platform's four statuses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from testbed import json_documents
from testbed.faas.limits import ActionLimits


class Status(Enum):
    """How a run ended. The number is the API's `statusCode`, the text its `status`."""

    SUCCESS = (0, "success")
    APPLICATION_ERROR = (1, "application error")
    DEVELOPER_ERROR = (2, "action developer error")
    PLATFORM_ERROR = (3, "whisk internal error")

    @property
    def code(self) -> int:
        """The number."""
        return int(self.value[0])

    @property
    def text(self) -> str:
        """The text."""
        return str(self.value[1])


@dataclass(frozen=True)
class Reply:
    """What a container answered to /init or /run; `is_whole`: False where it said more than is kept of a result."""

    status: int
    body: bytes
    is_whole: bool = True


class Failure(Enum):
    """Why there is no answer."""

    EXITED = "the container ended before the action had answered"
    MEMORY = "the action used more memory than its limit, and was killed"
    NO_ANSWER = "the action's container broke off its answer"
    START = "the container could not be started"
    WAITED = "no container became free in time"
    STOPPED = "the cluster was stopped"


@dataclass(frozen=True)
class Outcome:
    """The status of a run, and its result."""

    status: Status
    result: Any

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "status": self.status.text,
            "statusCode": self.status.code,
            "success": self.status is Status.SUCCESS,
            "result": self.result,
        }


def error(status: Status, text: str) -> Outcome:
    """Return an outcome that is an error, in one line."""
    return Outcome(status, {"error": text})


def timed_out(limits: ActionLimits, *, is_init: bool) -> Outcome:
    """Return the outcome of a run that took too long."""
    what = "initialization" if is_init else "run"
    return error(Status.DEVELOPER_ERROR, f"the action's {what} exceeded its time limit of {limits.timeout_ms} ms")


def failed(failure: Failure, detail: str = "") -> Outcome:
    """Return the outcome of a run that got no answer."""
    is_ours = failure in (Failure.START, Failure.WAITED, Failure.STOPPED)
    text = f"{failure.value}: {detail}" if detail else failure.value
    return error(Status.PLATFORM_ERROR if is_ours else Status.DEVELOPER_ERROR, text)


def of_init(reply: Reply) -> Outcome | None:
    """Return why a container could not be initialised; None if it was."""
    if reply.status == 200:
        return None
    document = _parsed(reply.body)
    if isinstance(document, dict) and "error" in document:
        return Outcome(Status.DEVELOPER_ERROR, {"error": document["error"]})
    return error(Status.DEVELOPER_ERROR, f"the container answered {reply.status} to its initialization")


def of_run(reply: Reply, most_bytes: int) -> Outcome:
    """Return what a container's answer to /run says."""
    if not reply.is_whole or len(reply.body) > most_bytes:
        return error(Status.APPLICATION_ERROR, f"the result is longer than {most_bytes} bytes")
    document = _parsed(reply.body)
    if reply.status == 200 and isinstance(document, (dict, list)):
        is_error = isinstance(document, dict) and "error" in document
        return Outcome(Status.APPLICATION_ERROR if is_error else Status.SUCCESS, document)
    if reply.status != 200 and isinstance(document, dict) and "error" in document:
        return Outcome(Status.DEVELOPER_ERROR, {"error": document["error"]})
    return error(Status.DEVELOPER_ERROR, f"the container answered {reply.status}, and no JSON object")


def _parsed(body: bytes) -> Any:
    try:
        return json_documents.parse(body)
    except ValueError:
        return None
