"""Performance metrics in maps and requests: examples of RFC 9439 (as in its last draft), and the cost context."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.alto import media_types
from testbed.alto.directory.reading import read_directory
from testbed.alto.maps.network_map import NetworkMap
from testbed.alto.service.knowledge import Knowledge
from testbed.alto.service.service import Service
from tests.alto_samples import MAP, document, get, post

HERE, NEAR, FAR = "ipv4:192.0.2.2", "ipv4:192.0.2.89", "ipv4:198.51.100.34"
HERE6, NEAR6, FAR6 = "ipv6:2001:db8:100::1", "ipv6:2001:db8:100::2", "ipv6:2001:db8:100::3"
PIDS = {
    "here": {"ipv4": ["192.0.2.2/32"], "ipv6": ["2001:db8:100::1/128"]},
    "near": {"ipv4": ["192.0.2.89/32"], "ipv6": ["2001:db8:100::2/128"]},
    "far": {"ipv4": ["0.0.0.0/0"], "ipv6": ["::/0"]},
}
METRICS = ("delay-ow", "delay-rt", "delay-variation", "lossrate", "hopcount", "tput", "bw-residual", "bw-available")
SLA = {"cost-source": "sla", "parameters": {"link": "https://sla.example/1"}}


def server(metric: str, costs: tuple[float, float], context: object = None) -> Service:
    cost_type: dict[str, Any] = {"cost-mode": "numerical", "cost-metric": metric}
    if context is not None:
        cost_type["cost-context"] = context
    directory = {
        "meta": {
            "default-alto-network-map": MAP,
            "cost-types": {
                "r": {"cost-mode": "numerical", "cost-metric": "routingcost"},
                "num": cost_type,
                "ord": {**cost_type, "cost-mode": "ordinal"},
            },
        },
        "resources": {
            MAP: {"uri": "/map", "media-type": media_types.NETWORK_MAP},
            "routing": _cost_map("/routing", "r"),
            "performance": _cost_map("/performance", "num"),
            "ecs": {
                "uri": "/ecs",
                "media-type": media_types.ENDPOINT_COSTS,
                "accepts": media_types.ENDPOINT_COST_PARAMS,
                "capabilities": {"cost-type-names": ["num", "ord"], "cost-constraints": True},
            },
            "eps": {
                "uri": "/eps",
                "media-type": media_types.ENDPOINT_PROPERTIES,
                "accepts": media_types.ENDPOINT_PROPERTY_PARAMS,
                "capabilities": {"prop-types": [f"{MAP}.pid"]},
            },
        },
    }
    read = read_directory(directory)
    known = Knowledge().with_network_map(NetworkMap(MAP, PIDS))
    known = known.with_cost_map(MAP, read.cost_types["num"], {"here": {"near": costs[0], "far": costs[1]}})
    return Service(known, {"/directory": read})


def _cost_map(uri: str, name: str) -> dict[str, Any]:
    capabilities = {"cost-type-names": [name]}
    return {"uri": uri, "media-type": media_types.COST_MAP, "uses": [MAP], "capabilities": capabilities}


def asked(
    of: Service, metric: str, mode: str = "numerical", ends: tuple[str, ...] = (HERE, NEAR, FAR), **more: Any
) -> Any:
    body = {
        "cost-type": {"cost-mode": mode, "cost-metric": metric},
        "endpoints": {"srcs": [ends[0]], "dsts": list(ends[1:])},
        **more,
    }
    return document(post(of, "/ecs", body, Content_Type=media_types.ENDPOINT_COST_PARAMS))


@pytest.mark.parametrize(
    ("metric", "costs"),
    [
        ("delay-ow", (10, 20)),
        ("delay-rt", (4, 3)),
        ("delay-variation", (0, 1)),
        ("lossrate", (0, 1)),
        ("hopcount", (5, 3)),
        ("tput", (256000, 128000)),
        ("bw-residual", (0, 2000)),
        ("bw-available", (0, 2000)),
    ],
)
@pytest.mark.parametrize("ends", [(HERE, NEAR, FAR), (HERE6, NEAR6, FAR6)])
def test_the_examples_of_each_metric_for_both_kinds_of_address(
    metric: str, costs: tuple[float, float], ends: tuple[str, ...]
) -> None:
    assert asked(server(metric, costs), metric, ends=ends) == {
        "meta": {"cost-type": {"cost-mode": "numerical", "cost-metric": metric}},
        "endpoint-cost-map": {ends[0]: {ends[1]: costs[0], ends[2]: costs[1]}},
    }


@pytest.mark.parametrize("metric", METRICS)
def test_the_better_value_of_each_metric_has_the_better_rank(metric: str) -> None:
    ranks = asked(server(metric, (1, 2)), metric, "ordinal")["endpoint-cost-map"][HERE]
    more_is_better = metric in ("tput", "bw-residual", "bw-available")
    assert ranks == ({NEAR: 2, FAR: 1} if more_is_better else {NEAR: 1, FAR: 2})


def test_a_statistic_is_part_of_the_metric_and_asked_for_by_name() -> None:
    of = server("delay-ow:p95", (10.5, 20))
    assert asked(of, "delay-ow:p95", constraints=["gt 10.5"])["endpoint-cost-map"] == {HERE: {FAR: 20}}
    assert asked(of, "delay-ow:p99")["meta"]["field"] == "cost-type/cost-metric"
    assert asked(of, "delay-ow")["meta"]["code"] == "E_INVALID_FIELD_VALUE"


def test_where_values_come_from_is_said_and_need_not_be_asked_for() -> None:
    of = server("delay-ow:p95", (10, 20), SLA)
    said = {"cost-mode": "numerical", "cost-metric": "delay-ow:p95", "cost-context": SLA}
    assert asked(of, "delay-ow:p95")["meta"] == {"cost-type": said}
    assert document(get(of, "/performance"))["meta"]["cost-type"] == said
    assert document(get(of, "/directory"))["meta"]["cost-types"]["num"] == said
