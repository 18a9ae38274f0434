"""A control process that comes back writes anew what its predecessor wrote: at no moment is an answer lost.

What the switch would do with an answer is followed through the messages that the groups send, after each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode.weighted_groups import WeightedGroups
from ryu_apps.dyncast.entries.group_entries import CLASSIFY, HOME, GroupSpec
from ryu_apps.openflow.framework import ofproto_v1_3, ofproto_v1_3_parser
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address
from tests.flowtable.taken import Taken

_DATAPATH = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
_INSTANCE = ip_address("10.2.0.10")
_D_SIDS = [ip_address(f"203.0.113.{number}") for number in (10, 11, 12)]
_SPECS = [
    GroupSpec(number, Service(f"service-{number}", (d_sid,)), d_sid, zone=4710 + number)
    for number, d_sid in enumerate(_D_SIDS, 1)
]


class Switch:
    """The entries on an answer's way home: which zone it is looked up in first, and which after one that is not its."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.following: dict[int, int] = {}
        self._generations: dict[tuple[int, int], int] = {}
        self.is_watched = False

    def take(self, message: Any) -> None:
        match = dict(message.match.items())
        if message.command == ofproto_v1_3.OFPFC_DELETE:
            gone = [
                entry
                for entry, cookie in self._generations.items()
                if cookie & message.cookie_mask == message.cookie & message.cookie_mask
            ]
            for entry in gone:
                self._forget(*entry)
        elif message.table_id == CLASSIFY and "ipv4_src" in match:
            self.first = self._remember(CLASSIFY, 0, message)
        elif message.table_id == HOME and message.priority == 100:
            group = match["reg5"]
            if message.command == ofproto_v1_3.OFPFC_DELETE_STRICT:
                self._forget(HOME, group)
            else:
                self.following[group] = self._remember(HOME, group, message)
        if self.is_watched:
            self.check()

    def check(self) -> None:
        assert self.visited() >= {spec.zone for spec in _SPECS}

    def visited(self) -> set[int]:
        """The zones that a stranger's packet is looked up in, one after the other."""
        group, zones = self.first, []
        while group is not None:
            zone = _SPECS[group - 1].zone
            assert zone not in zones, "a packet goes round in circles"
            zones.append(zone)
            group = self.following.get(group)
        return set(zones)

    def _remember(self, table: int, group: int, message: Any) -> int:
        self._generations[table, group] = message.cookie
        (instruction,) = message.instructions
        fields = {action.key: action.value for action in instruction.actions if hasattr(action, "key")}
        return int(fields["reg5"])

    def _forget(self, table: int, group: int) -> None:
        self._generations.pop((table, group), None)
        if table == HOME:
            self.following.pop(group, None)
        else:
            self.first = None


class Groups:
    def set(self, group_id: int, buckets: object) -> None:
        pass


def control(switch: Switch, generation: int) -> WeightedGroups:
    groups: Any = WeightedGroups(_SPECS, [ip_network("10.1.0.0/16")], 1, Groups(), None, generation)  # type: ignore[arg-type]
    groups.connect(_DATAPATH, switch.take, Taken())
    return groups


def set_weights(groups: WeightedGroups, d_sids: Iterable[Address]) -> None:
    for d_sid in d_sids:
        groups.set_weights(SetWeights(d_sid, {_INSTANCE: 64}, frozenset({_INSTANCE})), now_s=0.0)


@pytest.mark.parametrize("before", [*permutations(_D_SIDS)], ids=lambda order: "".join(str(item)[-1] for item in order))
@pytest.mark.parametrize("after", [*permutations(_D_SIDS)], ids=lambda order: "".join(str(item)[-1] for item in order))
def test_answers_come_home_while_a_new_process_writes_its_entries(
    before: tuple[Address, ...], after: tuple[Address, ...]
) -> None:
    switch = Switch()
    former = control(switch, generation=1)
    set_weights(former, before)
    former.remove_older_generations()
    switch.is_watched = True
    new = control(switch, generation=2)
    set_weights(new, after)
    new.remove_older_generations()
    switch.check()


def test_an_instance_is_looked_for_only_where_it_serves_once_that_is_known() -> None:
    switch = Switch()
    groups = control(switch, generation=1)
    set_weights(groups, _D_SIDS[1:2])
    assert switch.visited() == {spec.zone for spec in _SPECS}
    groups.remove_older_generations()
    assert switch.visited() == {_SPECS[1].zone}
    set_weights(groups, _D_SIDS[:1])
    assert switch.visited() == {spec.zone for spec in _SPECS[:2]}
