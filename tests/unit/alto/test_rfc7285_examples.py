"""Each pair of request and response that RFC 7285 shows: the server answers so when it is fed the RFC's data.

Tags are the server's own where the RFC's are opaque. Three examples cannot be as the RFC prints them, and each test
says why: a comma too many, a resource ID in two spellings, prefixes with bits beyond their length.
"""

from __future__ import annotations

import pytest

from testbed.alto import media_types
from testbed.alto.errors import AltoDataError
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.knowledge import Knowledge
from tests.alto_samples import CUSTOM, MAP, PIDS, ROOT, ROUTING, document, get, knowledge, post, service

ACCEPT = "application/alto-{}+json,application/alto-error+json"


def vtag() -> dict[str, str]:
    return NetworkMap(MAP, PIDS).vtag.document()


def test_the_root_directory_of_9_2_3() -> None:
    answer = get(service(), "/directory", Accept=ACCEPT.format("directory"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.DIRECTORY)
    assert document(answer) == ROOT


def test_the_directory_of_the_subdomain_of_9_2_4() -> None:
    answer = get(service(), "/maps", Accept=ACCEPT.format("directory"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.DIRECTORY)
    assert document(answer) == CUSTOM


def test_the_network_map_of_11_2_1_7() -> None:
    answer = get(service(), "/networkmap", Accept=ACCEPT.format("networkmap"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.NETWORK_MAP)
    assert document(answer) == {"meta": {"vtag": vtag()}, "network-map": PIDS}


def test_the_cost_map_of_11_2_3_7() -> None:
    answer = get(service(), "/costmap/num/routingcost", Accept=ACCEPT.format("costmap"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.COST_MAP)
    assert document(answer) == {
        "meta": {
            "dependent-vtags": [vtag()],
            "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
        },
        "cost-map": {
            "PID1": {"PID1": 1, "PID2": 5, "PID3": 10},
            "PID2": {"PID1": 5, "PID2": 1, "PID3": 15},
            "PID3": {"PID1": 20, "PID2": 15},
        },
    }


def test_the_filtered_network_map_of_11_3_1_7() -> None:
    """The RFC prints `198.51.100.0/24` and `198.51.100.128/24`, one prefix in two PIDs; its full map has /25."""
    request = {"pids": ["PID1", "PID2"]}
    answer = post(service(), "/networkmap/filtered", request, Accept=ACCEPT.format("networkmap"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.NETWORK_MAP)
    assert document(answer) == {
        "meta": {"vtag": vtag()},
        "network-map": {
            "PID1": {"ipv4": ["192.0.2.0/24", "198.51.100.0/25"]},
            "PID2": {"ipv4": ["198.51.100.128/25"]},
        },
    }


def test_the_network_map_that_11_3_1_7_prints_cannot_be_served() -> None:
    printed = {**PIDS, "PID1": {"ipv4": ["198.51.100.0/24"]}, "PID2": {"ipv4": ["198.51.100.128/24"]}}
    with pytest.raises(AltoDataError, match=r"PID2: .* is no ipv4 prefix"):
        NetworkMap(MAP, printed)


def test_the_filtered_cost_map_of_11_3_2_7() -> None:
    known = knowledge().with_cost_map(MAP, ROUTING, {"PID1": {"PID1": 0, "PID2": 1, "PID3": 2}, "PID2": {"PID1": 7}})
    request = {
        "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
        "pids": {"srcs": ["PID1"], "dsts": ["PID1", "PID2", "PID3"]},
    }
    answer = post(service(known), "/costmap/filtered", request, Accept=ACCEPT.format("costmap"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.COST_MAP)
    assert document(answer) == {
        "meta": {
            "dependent-vtags": [vtag()],
            "cost-type": {"cost-mode": "numerical", "cost-metric": "routingcost"},
        },
        "cost-map": {"PID1": {"PID1": 0, "PID2": 1, "PID3": 2}},
    }


def test_the_endpoint_properties_of_11_4_1_7() -> None:
    """The RFC's request says `my-default-networkmap`, its response `my-default-network-map`; the latter is meant."""
    request = {
        "properties": [f"{MAP}.pid", "priv:ietf-example-prop"],
        "endpoints": ["ipv4:192.0.2.34", "ipv4:203.0.113.129"],
    }
    answer = post(service(), "/endpointprop/lookup", request, Accept=ACCEPT.format("endpointprop"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.ENDPOINT_PROPERTIES)
    assert document(answer) == {
        "meta": {"dependent-vtags": [vtag()]},
        "endpoint-properties": {
            "ipv4:192.0.2.34": {f"{MAP}.pid": "PID1", "priv:ietf-example-prop": "1"},
            "ipv4:203.0.113.129": {f"{MAP}.pid": "PID3"},
        },
    }


def test_the_endpoint_costs_of_11_5_1_7() -> None:
    request = {
        "cost-type": {"cost-mode": "ordinal", "cost-metric": "routingcost"},
        "endpoints": {
            "srcs": ["ipv4:192.0.2.2"],
            "dsts": ["ipv4:192.0.2.89", "ipv4:198.51.100.34", "ipv4:203.0.113.45"],
        },
    }
    answer = post(service(), "/endpointcost/lookup", request, Accept=ACCEPT.format("endpointcost"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_types.ENDPOINT_COSTS)
    assert document(answer) == {
        "meta": {"cost-type": {"cost-mode": "ordinal", "cost-metric": "routingcost"}},
        "endpoint-cost-map": {
            "ipv4:192.0.2.2": {"ipv4:192.0.2.89": 1, "ipv4:198.51.100.34": 2, "ipv4:203.0.113.45": 3}
        },
    }


@pytest.mark.parametrize(
    ("body", "meta"),
    [
        ({"cost-type": {"cost-mode": "numerical"}}, {"code": "E_MISSING_FIELD", "field": "cost-type/cost-metric"}),
        (
            {"cost-type": {"cost-mode": "foo", "cost-metric": "routingcost"}},
            {"code": "E_INVALID_FIELD_VALUE", "field": "cost-type/cost-mode", "value": "foo"},
        ),
    ],
)
def test_the_errors_that_8_5_2_tells_of(body: object, meta: dict[str, str]) -> None:
    """The RFC writes `cost-mode/cost-type` once, against its own rule that `field` is the full path."""
    answer = post(service(), "/costmap/filtered", body)
    assert (answer.status, answer.headers["Content-Type"]) == (400, media_types.ERROR)
    assert document(answer) == {"meta": meta}


def test_nothing_is_known_before_it_is_fed() -> None:
    assert get(service(Knowledge()), "/networkmap").status == 503
