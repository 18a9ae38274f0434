"""Bodies of requests of update streams: the examples of RFC 8895, section 8, and what comes out is what went in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.alto.updates.stream_requests import (
    AddSubstream,
    StreamRequest,
    parse_control_request,
    parse_update_request,
)

_PROPERTIES = {"properties": ["priv:ietf-load"], "endpoints": ["ipv6:2001:db8:100::1", "ipv6:2001:db8:100::2"]}


@pytest.mark.parametrize(("body", "request_"), [
    ({"add": {"my-network-map": {"resource-id": "my-network-map"}}},
     StreamRequest({"my-network-map": AddSubstream("my-network-map")})),
    ({"add": {"net": {"resource-id": "my-network-map", "tag": "a10ce8b059740b0b2e3f8eb1d4785acd42231bfe"},
              "hops": {"resource-id": "my-hopcount-map", "incremental-changes": False}}},
     StreamRequest({"net": AddSubstream("my-network-map", "a10ce8b059740b0b2e3f8eb1d4785acd42231bfe"),
                    "hops": AddSubstream("my-hopcount-map", incremental_changes=False)})),
    ({"add": {"props-1": {"resource-id": "my-props", "input": _PROPERTIES}}},
     StreamRequest({"props-1": AddSubstream("my-props", input=_PROPERTIES)})),
])  # fmt: skip
def test_the_examples_of_the_rfc_are_read(body: Any, request_: StreamRequest) -> None:
    for parse in (parse_update_request, parse_control_request):
        assert parse(json.dumps(body).encode()) == request_
    assert json.loads(request_.encoded()) == body


@pytest.mark.parametrize("remove", [["hops"], [], ["net", "routing"]])
def test_what_is_to_be_removed_is_read(remove: list[str]) -> None:
    body = json.dumps({"remove": remove}).encode()
    assert parse_control_request(body) == StreamRequest({}, tuple(remove))
    assert json.loads(StreamRequest(remove=tuple(remove)).encoded()) == {"remove": remove}


def test_fields_that_are_unknown_are_ignored() -> None:
    body = b'{"add": {"a": {"resource-id": "net", "more": 1}}, "priv:more": 2}'
    assert parse_update_request(body) == StreamRequest({"a": AddSubstream("net")})
