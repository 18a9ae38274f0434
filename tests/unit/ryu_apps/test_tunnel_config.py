"""The section `tunnel` of a control process's configuration."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.config.tunnel import Station, TunnelConfig
from testbed.runtime.config import ConfigError

_TUNNEL: dict[str, Any] = {
    "address": "10.1.0.1",
    "port": 9,
    "stations": [
        {"address": "10.1.0.10", "mac": "02:00:05:00:00:03", "port": 3},
        {"address": "fd00:d:2::a", "mac": "02:00:06:00:00:04"},
    ],
}


def test_a_station_without_a_port_is_behind_the_tunnel() -> None:
    read = TunnelConfig.from_document(_TUNNEL)
    assert (read.address, read.port) == (ip_address("10.1.0.1"), 9)
    assert read.by_address == {
        ip_address("10.1.0.10"): Station(bytes.fromhex("020005000003"), 3),
        ip_address("fd00:d:2::a"): Station(bytes.fromhex("020006000004"), 9),
    }


@pytest.mark.parametrize("mac", ["02:00", "somewhere", "02:00:05:00:00:03:04"])
def test_what_is_no_mac_address_is_refused(mac: str) -> None:
    document = {**_TUNNEL, "stations": [{"address": "10.1.0.10", "mac": mac}]}
    with pytest.raises(ConfigError, match=r"stations\[0\].mac must be a MAC address"):
        TunnelConfig.from_document(document)


def control(**changes: Any) -> dict[str, Any]:
    service = {"name": "render", "d_sids": ["203.0.113.10"], "steering": "tunnel", "choice": "site"}
    return {
        "name": "control@east", "site": "east", "seed": 1, "out_dir": "out", "datapath_id": 1,
        "openflow_fd": 9, "uplink_port": 1, "in_band_fd": 3, "in_band_port": 7000,
        "services": [service], "tunnel": _TUNNEL, **changes,
    }  # fmt: skip


def test_a_d_router_knows_its_own_address_by_its_tunnel() -> None:
    d_router = ControlConfig.from_document(control()).d_router
    assert d_router.address == ip_address("10.1.0.1")
    (service,) = d_router.services
    assert (service.steering, service.choice, service.policy_at_egress) == ("tunnel", "site", service.policy)


def test_a_service_steered_by_tunnel_needs_one() -> None:
    with pytest.raises(ConfigError, match="tunnel is missing; a service steered by tunnel needs it"):
        ControlConfig.from_document(control(tunnel=None))
