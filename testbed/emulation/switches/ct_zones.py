"""Zones of Open vSwitch's connection tracker: one for each service and D-Router of a run, with the service's timeout.

All bridges of a machine share one tracker per datapath, and all runs do. Owns which numbers belong to which run (said
in the database, by the run's tag), the timeouts, and the removal. Knows nothing of services.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.emulation.run_tag import REGISTER, RunTag
from testbed.emulation.switches.bridges import BridgeError, vsctl
from testbed.linux.ovs_conntrack import Conntrack, ConntrackError

_RUN_KEY = "dyncast-run"
_OURS_KEY = "dyncast-made"
_ZONES = range(1, 1 << 16)
# A connection that has ended is no flow any more; its entry stays only to catch stragglers.
_CLOSED_TIMEOUT_S = 5
_LIVE = ("tcp_syn_sent", "tcp_syn_recv", "tcp_established", "udp_first", "udp_single", "udp_multiple", "icmp_first",
         "icmp_reply")  # fmt: skip
_CLOSED = ("tcp_fin_wait", "tcp_time_wait", "tcp_close")


@dataclass(frozen=True)
class Zone:
    """A zone in the database."""

    datapath_type: str
    number: int
    tag: RunTag | None


def claim(timeouts_s: Sequence[int], tag: RunTag, *, datapath_type: str) -> list[int]:
    """Make a zone for each idle timeout and return their numbers. Raises BridgeError."""
    if not timeouts_s:
        return []
    with _locked():
        _ensure_datapath(datapath_type)
        taken = {zone.number for zone in zones() if zone.datapath_type == datapath_type}
        free = (number for number in _from(int(tag.value, 16)) if number not in taken)
        numbers = [number for number, _ in zip(free, timeouts_s, strict=False)]
        if len(numbers) < len(timeouts_s):
            raise BridgeError(f"no {len(timeouts_s)} conntrack zones are free; remove dead runs with `dyncast clean`")
        datapath = vsctl("get", "Open_vSwitch", ".", f"datapaths:{datapath_type}").strip()
        arguments: list[str] = []
        for index, number in enumerate(numbers):
            arguments += ["--", f"--id=@p{index}", "create", "CT_Timeout_Policy", "timeouts={}"]
            arguments += ["--", f"--id=@z{index}", "create", "CT_Zone", f"timeout_policy=@p{index}"]
            arguments += [f"external_ids:{_RUN_KEY}={tag}"]
            arguments += ["--", "set", "Datapath", datapath, f"ct_zones:{number}=@z{index}"]
        policies = vsctl(*arguments).split()[::2]  # it names what it creates: a policy, a zone, a policy, a zone …
        # Open vSwitch 3.3 and later do not apply the timeouts that a zone is made with, only a change of them.
        arguments = []
        for policy, timeout_s in zip(policies, timeouts_s, strict=True):
            arguments += ["--", "set", "CT_Timeout_Policy", policy, *_timeouts(timeout_s)]
        vsctl(*arguments)
    return numbers


def zones() -> list[Zone]:
    """Return all zones that have a timeout policy. Raises BridgeError."""
    datapaths = _column_by_uuid("Datapath", "ct_zones")
    external_ids = _column_by_uuid("CT_Zone", "external_ids")
    found = []
    for datapath_type, datapath in _datapaths().items():
        for number, (_, zone) in datapaths.get(datapath, {}).items():
            tag = RunTag.parse(external_ids.get(zone, {}).get(_RUN_KEY, ""))
            found.append(Zone(datapath_type, int(number), tag))
    return found


def tagged_zones() -> dict[RunTag, list[Zone]]:
    """Return the zones of every run on this machine. Raises BridgeError."""
    found: dict[RunTag, list[Zone]] = {}
    for zone in zones():
        if zone.tag is not None:
            found.setdefault(zone.tag, []).append(zone)
    return found


def remove(removed: Collection[Zone]) -> None:
    """Remove zones with their connections, and the database's record of the datapath if it was made for them.

    Raises BridgeError.
    """
    if not removed:
        return
    with _locked():
        datapaths = _datapaths()
        for zone in removed:
            try:
                Conntrack(zone.datapath_type).flush(zone.number)
            except ConntrackError:
                continue  # the datapath is gone, and its connections with it
        arguments: list[str] = []
        for zone in removed:
            arguments += ["--", "remove", "Datapath", datapaths[zone.datapath_type], "ct_zones", str(zone.number)]
        vsctl(*arguments)
        left = {zone.datapath_type for zone in zones()}
        made = _column_by_uuid("Datapath", "external_ids")
        for datapath_type, datapath in datapaths.items():
            if datapath_type not in left and _OURS_KEY in made.get(datapath, {}):
                vsctl("remove", "Open_vSwitch", ".", "datapaths", datapath_type)


def _timeouts(timeout_s: int) -> Iterator[str]:
    yield from (f"timeouts:{key}={timeout_s}" for key in _LIVE)
    yield from (f"timeouts:{key}={min(timeout_s, _CLOSED_TIMEOUT_S)}" for key in _CLOSED)


def _ensure_datapath(datapath_type: str) -> None:
    if datapath_type not in _datapaths():
        vsctl(
            "--", "--id=@d", "create", "Datapath", "datapath_version=unknown", f"external_ids:{_OURS_KEY}=true",
            "--", "set", "Open_vSwitch", ".", f"datapaths:{datapath_type}=@d",
        )  # fmt: skip


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


@contextmanager
def _locked() -> Iterator[None]:
    # Finding free numbers and taking them is one step.
    REGISTER.mkdir(mode=0o755, parents=True, exist_ok=True)
    with Path(REGISTER, ".zones.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
