"""What the configuration of an ALTO server refuses, each by its key."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.agents.alto_server.config import AltoServerConfig
from testbed.runtime.config import ConfigError

NETWORK: dict[str, Any] = {
    "nodes": [{"name": name, "pid": name, "prefixes": [f"10.{number}.0.0/16"]} for number, name in enumerate("ab", 1)],
    "links": [{"a": "a", "b": "b", "delay_ms": 10}],
    "next_hops": {"a": {"b": "b"}, "b": {"a": "a"}},
}
GOOD: dict[str, Any] = {
    "name": "alto",
    "out_dir": "out",
    "address": "127.0.0.1",
    "port": 8181,
    "reports_port": 8182,
    "network": NETWORK,
    "reporters": {"a": {"kind": "network", "prefixes": ["10.1.0.0/16"]}, "c@b": {"kind": "cluster"}},
}


def test_what_is_written_is_read_again() -> None:
    config = AltoServerConfig.from_document(GOOD)
    assert AltoServerConfig.from_document(config.to_document()) == config
    assert config.network.path("a", "b") == (("a", "b"),)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"certificate": "c.pem"}, "key is missing"),
        ({"key": "c.key"}, "certificate is missing"),
        ({"reporters": {"x": {"kind": "network"}}}, "reporters.x is no node"),
        ({"reporters": {"a": {"kind": "router"}}}, "reporters.a.kind"),
        ({"network": {**NETWORK, "next_hops": {"a": {"b": "x"}}}}, "network cannot be used: next_hops"),
        ({"network": {**NETWORK, "links": []}}, "network cannot be used: next_hops"),
        ({"lifetime_s": 0}, "lifetime_s"),
        ({"least_change": -1}, "least_change"),
    ],
)
def test_what_cannot_be_is_named_by_its_key(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AltoServerConfig.from_document({**GOOD, **changes})
