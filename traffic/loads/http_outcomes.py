"""How requests over HTTP end: by the status of the answer, or by the error of a socket."""

from __future__ import annotations

import errno

from traffic.flow_log import Outcome
from traffic.sockets import NETWORK_UNREACHABLE_ERRORS, is_local_limit

_SUCCESS = range(200, 300)
_REFUSED = 503
_OUTCOME_OF_ERROR = {
    errno.ECONNREFUSED: Outcome.RESET,
    errno.ECONNRESET: Outcome.RESET,
    errno.EPIPE: Outcome.RESET,
    errno.ETIMEDOUT: Outcome.TIMEOUT,
    **dict.fromkeys(NETWORK_UNREACHABLE_ERRORS, Outcome.UNREACHABLE),
}


def of_status(status: int | None) -> Outcome:
    """Return how a request ended whose answer is whole."""
    if status == _REFUSED:
        return Outcome.REFUSED
    return Outcome.OK if status in _SUCCESS else Outcome.ERROR


def of_error(error: OSError) -> Outcome:
    """Return how a request ended whose socket failed."""
    if is_local_limit(error):
        return Outcome.LOCAL_LIMIT
    return _OUTCOME_OF_ERROR.get(error.errno or 0, Outcome.ERROR)
