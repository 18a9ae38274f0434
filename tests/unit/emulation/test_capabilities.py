"""From what a machine can do to what a run uses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.emulation.machine.capabilities import Backends, Capabilities, Capability, CapabilityError, choose_backends

EVERYTHING = ("root", "tap", "netem", "vxlan", "datapath_system", "datapath_netdev")


def machine(*, without: tuple[str, ...] = ()) -> Capabilities:
    """Return a machine that can do everything but `without`."""
    rows = tuple(
        Capability(name, name not in without, f"about {name}", f"apt-get install -y {name}", needed=name == "root")
        for name in EVERYTHING
    )
    return Capabilities(rows, {"cores": 2})


@pytest.mark.parametrize(
    ("without", "backends"),
    [
        ((), Backends("system", "netem")),
        (("netem",), Backends("system", "relay")),
        (("datapath_system",), Backends("netdev", "netem")),
        (("netem", "datapath_system"), Backends("netdev", "relay")),
        (("tap", "datapath_netdev"), Backends("system", "netem")),
    ],
)
def test_the_kernel_serves_where_it_can(without: tuple[str, ...], backends: Backends) -> None:
    assert choose_backends(machine(without=without)) == backends


def test_tunnels_are_needed_by_who_asks_for_them_alone() -> None:
    choose_backends(machine(without=("vxlan",)))
    choose_backends(machine(), tunnels=True)


def test_what_is_asked_for_is_taken() -> None:
    assert choose_backends(machine(), datapath="netdev", link="relay") == Backends("netdev", "relay")


@pytest.mark.parametrize(
    ("without", "wanted", "message"),
    [
        (("root",), {}, "^root is missing: about root; remedy: apt-get install -y root$"),
        (("netem",), {"link": "netem"}, "^netem is missing: about netem; remedy: apt-get install -y netem$"),
        (("datapath_system",), {"datapath": "system"}, "^datapath_system is missing"),
        (("netem", "tap"), {}, "^tap is missing"),
        (("datapath_system", "datapath_netdev"), {}, "^datapath_netdev is missing"),
        (("vxlan",), {"tunnels": True}, "^vxlan is missing: about vxlan; remedy: apt-get install -y vxlan$"),
        ((), {"link": "wire"}, "no link backend 'wire'; there are: netem, relay"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_mends_it(
    without: tuple[str, ...], wanted: dict[str, Any], message: str
) -> None:
    with pytest.raises(CapabilityError, match=message):
        choose_backends(machine(without=without), **wanted)


def test_a_capability_that_was_not_probed_is_no_crash() -> None:
    """Without Open vSwitch its datapaths are not probed; the needed row before them speaks."""
    rows = (Capability("open_vswitch", False, "not installed", "apt-get install -y openvswitch-switch", needed=True),)
    with pytest.raises(CapabilityError, match="open_vswitch is missing"):
        choose_backends(Capabilities(rows, {}))


def test_capabilities_are_json() -> None:
    shown = json.loads(json.dumps(machine(without=("netem",)).as_dict()))
    assert {row["name"]: row["present"] for row in shown["capabilities"]}["netem"] is False
