"""Zones of Open vSwitch's connection tracker: one for each service and D-Router of a run, with the service's timeout.

All bridges of a machine share one tracker per datapath, and all runs do. Owns which numbers belong to which run (said
in the database, by the run's tag), the timeouts, and the removal. Knows nothing of services.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from testbed.emulation.run_owner import RunOwner
from testbed.emulation.run_tag import RunTag
from testbed.emulation.switches.bridges import OWNER_KEY, RUN_KEY, BridgeError, belonging, vsctl, vsctl_removing
from testbed.emulation.switches.shared_lock import locked
from testbed.linux.ovs_conntrack import Conntrack, ConntrackError

_OURS_KEY = "dyncast-made"
_ZONES = range(1, 1 << 16)
# A connection that has ended is no flow any more; its entry stays only to catch stragglers. One that is closed by one
# side goes on: the other may answer as late as in any flow. Each datapath has names of its own for the states between.
_CLOSED_TIMEOUT_S = 5
_LIVE = (
    "tcp_syn_sent", "tcp_syn_recv", "tcp_established", "tcp_fin_wait", "tcp_close_wait", "tcp_syn_sent2",
    "tcp_retransmit", "tcp_unack", "udp_first", "udp_single", "udp_multiple", "icmp_first", "icmp_reply",
)  # fmt: skip
_CLOSED = ("tcp_last_ack", "tcp_time_wait", "tcp_close")


@dataclass(frozen=True)
class Zone:
    """A zone in the database."""

    datapath_type: str
    number: int
    tag: RunTag | None
    owner: RunOwner | None = None


def claim(timeouts_s: Sequence[int], tag: RunTag, *, datapath_type: str) -> list[int]:
    """Make a zone for each idle timeout and return their numbers. Raises BridgeError."""
    if not timeouts_s:
        return []
    with locked("zones"):
        taken = {zone.number for zone in zones() if zone.datapath_type == datapath_type}
        free = (number for number in _from(int(tag.value, 16)) if number not in taken)
        numbers = [number for number, _ in zip(free, timeouts_s, strict=False)]
        if len(numbers) < len(timeouts_s):
            raise BridgeError(f"no {len(timeouts_s)} conntrack zones are free; remove dead runs with `dyncast clean`")
        arguments: list[str] = []
        for index in range(len(numbers)):
            arguments += ["--", f"--id=@p{index}", "create", "CT_Timeout_Policy", "timeouts={}"]
            arguments += ["--", f"--id=@z{index}", "create", "CT_Zone", f"timeout_policy=@p{index}"]
            arguments += belonging(tag)
        added = [f"ct_zones:{number}=@z{index}" for index, number in enumerate(numbers)]
        arguments += _to_datapath(datapath_type, added)
        # It names what it creates: a policy, a zone, a policy, a zone …, and maybe a datapath.
        policies = vsctl(*arguments).split()[: 2 * len(numbers) : 2]
        # Open vSwitch 3.3 and later do not apply the timeouts that a zone is made with, only a change of them.
        arguments = []
        for policy, timeout_s in zip(policies, timeouts_s, strict=True):
            arguments += ["--", "set", "CT_Timeout_Policy", policy, *_timeouts(timeout_s)]
        vsctl(*arguments)
    if datapath_type == "netdev":
        with suppress(ConntrackError):  # an older Open vSwitch takes what it takes
            Conntrack(datapath_type).be_liberal()
    return numbers


def zones() -> list[Zone]:
    """Return all zones that have a timeout policy. Raises BridgeError."""
    datapaths = _column_by_uuid("Datapath", "ct_zones")
    external_ids = _column_by_uuid("CT_Zone", "external_ids")
    found = []
    for datapath_type, datapath in _datapaths().items():
        for number, (_, zone) in datapaths.get(datapath, {}).items():
            said = external_ids.get(zone, {})
            tag, owner = RunTag.parse(said.get(RUN_KEY, "")), RunOwner.parse(said.get(OWNER_KEY, ""))
            found.append(Zone(datapath_type, int(number), tag, owner))
    return found


def remove(removed: Collection[Zone]) -> None:
    """Remove zones with their connections, and the database's record of the datapath if it was made for them.

    Those that somebody else removed meanwhile are no error. Raises BridgeError.
    """
    if not removed:
        return
    with locked("zones"):
        datapaths = _datapaths()
        removed = [zone for zone in zones() if zone in removed]
        for zone in removed:
            try:
                Conntrack(zone.datapath_type).flush(zone.number)
            except ConntrackError:
                continue  # the datapath is gone, and its connections with it
        arguments: list[str] = []
        for zone in removed:
            arguments += ["--", "remove", "Datapath", datapaths[zone.datapath_type], "ct_zones", str(zone.number)]
        left = {zone.datapath_type for zone in zones() if zone not in removed}
        made = _column_by_uuid("Datapath", "external_ids")
        for datapath_type, datapath in datapaths.items():
            if datapath_type not in left and _OURS_KEY in made.get(datapath, {}):
                arguments += ["--", "remove", "Open_vSwitch", ".", "datapaths", datapath_type]
        if arguments:  # in one transaction: who is killed here leaves all of it, or nothing
            vsctl_removing(*arguments)


def _timeouts(timeout_s: int) -> Iterator[str]:
    yield from (f"timeouts:{key}={timeout_s}" for key in _LIVE)
    yield from (f"timeouts:{key}={min(timeout_s, _CLOSED_TIMEOUT_S)}" for key in _CLOSED)


def _to_datapath(datapath_type: str, zones: Sequence[str]) -> list[str]:
    """Return the ovs-vsctl arguments that add zones to a datapath, which need not be in the database yet."""
    datapath = _datapaths().get(datapath_type)
    if datapath is not None:
        return ["--", "set", "Datapath", datapath, *zones]
    made = ["--", "--id=@d", "create", "Datapath", "datapath_version=unknown", f"external_ids:{_OURS_KEY}=true", *zones]
    return [*made, "--", "set", "Open_vSwitch", ".", f"datapaths:{datapath_type}=@d"]


def _datapaths() -> Mapping[str, str]:
    (row,) = json.loads(vsctl("--format=json", "--columns=datapaths", "list", "Open_vSwitch"))["data"]
    return {datapath_type: uuid for datapath_type, (_, uuid) in row[0][1]}


def _column_by_uuid(table: str, column: str) -> dict[str, dict[Any, Any]]:
    rows = json.loads(vsctl("--format=json", f"--columns=_uuid,{column}", "list", table))["data"]
    return {uuid: dict(values) for (_, uuid), (_, values) in rows}


def _from(start: int) -> Iterator[int]:
    first = max(start, _ZONES.start)
    yield from range(first, _ZONES.stop)
    yield from range(_ZONES.start, first)
