"""Reports to an ALTO server as anybody might write them: what is read is written again, and known as numbers."""

from __future__ import annotations

import json
from contextlib import suppress

from testbed.alto.reports import codec
from testbed.alto.reports.admission import Refused
from testbed.alto.reports.codec import CodecError
from testbed.alto.reports.messages import NetworkReport
from testbed.alto.service.exchange import Request
from testbed.alto.service.service import Service
from tests.alto_reports import CLUSTER_ADDRESS, EAST_ADDRESS, LIFETIME_S, NOW_S, REPORTS, knowing

SEEDS = [codec.encode(report) for report in REPORTS]
_PATHS = [entry.uri for entry in knowing().directory.entries if not entry.accepts and entry.resource_id != "updates"]


def report(data: bytes) -> None:
    """As a server takes it in, from either address, and forgets it again."""
    with suppress(CodecError):
        found = codec.decode(data)
        assert codec.decode(codec.encode(found)) == found
        if isinstance(found, NetworkReport):
            assert all(codec.encode(part) for part in codec.network_parts(found))
    known = knowing()
    for source in (EAST_ADDRESS, CLUSTER_ADDRESS):
        with suppress(Refused):
            known.on_datagram(data, source, NOW_S)
    service = Service(known.knowledge, {"/directory": known.directory})
    for path in _PATHS:
        json.loads(service.answer(Request("GET", path)).body, parse_constant=_no_number)
    known.on_timer(NOW_S + LIFETIME_S + 1)
    assert known.next_timer_s() is None


def _no_number(constant: str) -> object:
    raise AssertionError(f"{constant} in an answer")
