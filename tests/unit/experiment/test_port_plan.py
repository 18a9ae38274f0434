"""Which ports a D-Router reads, from the scenario to the process that is told; and what a relay publishes."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.config.deferrable import DeferrableConfig
from testbed.dyncast.monitoring.port_state import Port
from testbed.emulation.relay.impairment import Impairment, LinkDirection
from testbed.experiment.plan.plan import Plan
from testbed.experiment.systems.dyncast.launch import process_configs
from testbed.experiment.systems.dyncast.launch.measurement_sockets import Measuring
from testbed.linux.port_reader import PortReader, PortSource, relayed
from testbed.net.port_counters import PortCounters, Reading
from testbed.runtime.config import ConfigError
from tests.scenarios import SWITCH, small_plan

NETLINK, ICMP, DEFERRABLE = 7, 8, 9
SITES = {"east": {"at": "New York", "link": {"rate_mbps": 20, "queue_packets": 50}}, "middle": {"at": "Chicago"}}


def _config(plan: Plan, folder: Path, towards: dict[str, PortSource]) -> ControlConfig:
    return process_configs.control(
        plan, "east", folder, datapath_id=1, openflow_fd=9, uplink_port=1, in_band_fd=3,
        switch=SWITCH, zones={},
        inspection_socket="x", measuring=Measuring(NETLINK, ICMP, DEFERRABLE, towards),
    )  # fmt: skip


def _relayed(folder: Path) -> dict[str, PortSource]:
    return {"middle": PortSource("r9", folder / "relay.ports", 6)}


def test_a_control_process_is_told_of_the_first_link_of_each_path(tmp_path: Path) -> None:
    config = _config(small_plan(sites=SITES), tmp_path, _relayed(tmp_path))
    assert config.icmp_fd == ICMP
    assert config.deferrable == DeferrableConfig(DEFERRABLE, 7001)
    assert config.ports is not None
    assert (config.ports.netlink_fd, config.ports.interval_s) == (NETLINK, 1.0)
    assert config.d_router.ports == (Port("r9", 20e6, 50),)
    assert config.ports.sources == (PortSource("r9", tmp_path / "relay.ports", 6),)
    assert [peer.port for peer in config.d_router.peers] == ["r9"]


def test_a_link_without_a_rate_has_none_and_is_read_from_the_kernel(tmp_path: Path) -> None:
    config = _config(small_plan(), tmp_path, {"middle": PortSource("r9")})
    assert config.ports is not None
    assert config.d_router.ports == (Port("r9", None, 1000),)
    assert config.ports.sources == (PortSource("r9"),)


def test_ports_are_not_read_where_the_scenario_says_so(tmp_path: Path) -> None:
    plan = small_plan(sites=SITES, metrics={"port_interval_s": None})
    config = _config(plan, tmp_path, _relayed(tmp_path))
    assert (config.ports, config.d_router.ports) == (None, ())
    assert config.icmp_fd == ICMP
    assert config.deferrable == DeferrableConfig(DEFERRABLE, 7001)


def test_paths_that_begin_alike_share_a_port(tmp_path: Path) -> None:
    plan = small_plan(sites={**SITES, "west": {"at": "Denver"}})
    source = PortSource("r9", tmp_path / "relay.ports", 6)
    config = _config(plan, tmp_path, {"middle": source, "west": source})
    assert [peer.port for peer in config.d_router.peers] == ["r9", "r9"]
    assert len(config.d_router.ports) == 1


@pytest.mark.parametrize("key", ["netlink_fd", "interval_s", "ports"])
def test_a_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    document = _config(small_plan(), tmp_path, {"middle": PortSource("r9")}).to_document()
    del document["ports"][key]
    with pytest.raises(ConfigError, match=key):
        ControlConfig.from_document(document)


def test_a_direction_counts_what_its_queue_lets_through_and_what_not() -> None:
    direction = LinkDirection(Impairment(rate_mbps=0.8, queue_packets=2))
    for _ in range(5):
        direction.arrive(1.0, 1000, Random(1))
    assert direction.port_counters() == PortCounters(2000, 2, 3)
    direction.arrive(9.0, 500, Random(1))
    assert direction.port_counters() == PortCounters(2500, 3, 3)


def test_what_the_line_loses_its_port_has_sent() -> None:
    direction = LinkDirection(Impairment(loss_percent=100, rate_mbps=1))
    direction.arrive(1.0, 1000, Random(1))
    assert direction.port_counters() == PortCounters(1000, 1, 0)


def test_what_a_relay_publishes_is_read_by_slot(tmp_path: Path) -> None:
    path = tmp_path / "relay.ports"
    path.write_bytes(relayed(4, [(1, PortCounters(10, 1, 0)), (2, PortCounters(2**40, 2**33, 7))], 5.25))
    sources = [
        PortSource("r2", path, 2),
        PortSource("r1", path, 1),
        PortSource("r0", path, 0),
        PortSource("r5", path, 5),
    ]
    reader = PortReader(None, sources)  # type: ignore[arg-type]
    counted = {"r2": Reading(PortCounters(2**40, 2**33, 7), 5.25), "r1": Reading(PortCounters(10, 1, 0), 5.25)}
    assert reader.read(9.0) == counted | {"r0": Reading(PortCounters(0, 0, 0), 0.0)}  # none of a slot that is not there
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, relayed(4, [(1, PortCounters(20, 2, 1))], 6.5), 0)
    os.close(descriptor)
    assert reader.read(9.0)["r1"] == Reading(PortCounters(20, 2, 1), 6.5)
