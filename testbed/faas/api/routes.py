"""What a path and a method of the API mean, and what may stand in a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote

from testbed.faas.errors import ApiError, malformed

MOST_LISTED = 200
_USUALLY_LISTED = 30
_LATEST_MS = 1 << 53


class Operation(Enum):
    """What a request asks for."""

    DESCRIBE = auto()
    NAMESPACES = auto()
    LIMITS = auto()
    STATE = auto()
    DELIVER = auto()
    DELIVERIES = auto()
    DELIVERY = auto()
    CANCEL_DELIVERY = auto()
    ACTIONS = auto()
    PUT_ACTION = auto()
    GET_ACTION = auto()
    DELETE_ACTION = auto()
    INVOKE = auto()
    ACTIVATIONS = auto()
    ACTIVATION = auto()
    LOGS = auto()
    RESULT = auto()
    NOTHING_THERE = auto()  # a list of what this platform does not have


@dataclass(frozen=True)
class Route:
    """An operation, with the name of an action or an id, and the namespace where one stands."""

    operation: Operation
    name: str = ""
    namespace: str = ""


_ACTION = {
    "PUT": Operation.PUT_ACTION,
    "GET": Operation.GET_ACTION,
    "DELETE": Operation.DELETE_ACTION,
    "POST": Operation.INVOKE,
}
_DELIVERIES = {"POST": Operation.DELIVER, "GET": Operation.DELIVERIES}
_DELIVERY = {"GET": Operation.DELIVERY, "DELETE": Operation.CANCEL_DELIVERY}
_ABSENT = ("packages", "triggers", "rules")


def route(method: str, path: str) -> Route:
    """Return what a request means. Raises ApiError 404, 405 or 501."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    if segments in ([""], ["api", "v1"]):
        return _only("GET", method, Route(Operation.DESCRIBE))
    if segments[:2] != ["api", "v1"]:
        raise _no_such(path)
    match segments[2:]:
        case ["namespaces"]:
            return _only("GET", method, Route(Operation.NAMESPACES))
        case ["cluster"]:
            return _only("GET", method, Route(Operation.STATE))
        case ["cluster", "deliveries"]:
            return Route(_one_of(_DELIVERIES, method))
        case ["cluster", "deliveries", delivery_id]:
            return Route(_one_of(_DELIVERY, method), delivery_id)
        case ["web", *_]:
            raise ApiError(501, "web actions are not part of this platform: invoke the action")
        case ["namespaces", namespace, *rest]:
            return _in_namespace(method, namespace, rest, path)
    raise _no_such(path)


def _in_namespace(method: str, namespace: str, rest: list[str], path: str) -> Route:
    match rest:
        case ["limits"]:
            return _only("GET", method, Route(Operation.LIMITS, namespace=namespace))
        case ["actions"]:
            return _only("GET", method, Route(Operation.ACTIONS, namespace=namespace))
        case ["actions", name]:
            return Route(_one_of(_ACTION, method), name, namespace)
        case ["actions", package, _]:
            raise ApiError(501, f"packages are not part of this platform: there is no package {package[:100]!r}")
        case ["activations"]:
            return _only("GET", method, Route(Operation.ACTIVATIONS, namespace=namespace))
        case ["activations", activation_id]:
            return _only("GET", method, Route(Operation.ACTIVATION, activation_id, namespace))
        case ["activations", activation_id, "logs"]:
            return _only("GET", method, Route(Operation.LOGS, activation_id, namespace))
        case ["activations", activation_id, "result"]:
            return _only("GET", method, Route(Operation.RESULT, activation_id, namespace))
        case [absent] if absent in _ABSENT and method == "GET":
            return Route(Operation.NOTHING_THERE, absent, namespace)
        case [absent, *_] if absent in _ABSENT:
            raise ApiError(501, f"{absent} are not part of this platform")
    raise _no_such(path)


def _only(allowed: str, method: str, found: Route) -> Route:
    if method != allowed:
        raise _not_allowed(method, allowed)
    return found


def _one_of(allowed: Mapping[str, Operation], method: str) -> Operation:
    if method not in allowed:
        raise _not_allowed(method, ", ".join(allowed))
    return allowed[method]


def _not_allowed(method: str, allowed: str) -> ApiError:
    return ApiError(405, f"{method[:20]} is not allowed here; there is {allowed}")


def _no_such(path: str) -> ApiError:
    return ApiError(404, f"there is nothing at {path[:200]!r}")


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for; `is_count`: only how many there are."""

    skip: int
    limit: int
    is_count: bool


def page(query: Mapping[str, str]) -> Page:
    """Return the part that a query asks for. Raises ApiError."""
    limit = integer(query, "limit", _USUALLY_LISTED, 0, MOST_LISTED)
    assert limit is not None
    skip = integer(query, "skip", 0, 0)
    return Page(skip or 0, limit or MOST_LISTED, truth(query, "count"))


def truth(query: Mapping[str, str], key: str, default: bool = False) -> bool:
    """Return a key of a query that is true or false. Raises ApiError."""
    text = query.get(key)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise malformed(f"{key} must be true or false")
    return text.lower() == "true"


def wait_s(query: Mapping[str, str], most_s: float) -> float:
    """Return how long a blocking request waits, by the milliseconds in its query. Raises ApiError."""
    timeout_ms = integer(query, "timeout", None, 1)
    return most_s if timeout_ms is None else min(most_s, timeout_ms / 1000)


def integer(
    query: Mapping[str, str], key: str, default: int | None, least: int = 0, most: int = _LATEST_MS
) -> int | None:
    """Return a key of a query that is an integer within bounds. Raises ApiError."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise malformed(f"{key} must be an integer in {least}..{most}")
    return int(text)
