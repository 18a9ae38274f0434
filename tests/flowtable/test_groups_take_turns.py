"""While a switch takes a group, others of the control process go on: what they want spread must wait for its turn.

And an instance waits until the switch has what brings its answers home.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode.weighted_groups import WeightedGroups
from ryu_apps.dyncast.entries.group_entries import SERVICE, GroupSpec
from ryu_apps.openflow.framework import hub, ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.select_groups import GroupError
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.affinity.service import Service
from testbed.net.addresses import Address
from tests.flowtable.taken import Taken

_DATAPATH = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
_D_SID = ip_address("203.0.113.10")
_SPEC = GroupSpec(1, Service("render", (_D_SID,)), _D_SID, zone=4711)
_D_BID = ip_address("10.2.0.10")


class SlowGroups:
    """A session at a switch that answers later; who uses it twice at once breaks it."""

    def __init__(self) -> None:
        self.is_busy = False
        self.weights: list[int] = []
        self.buckets: Mapping[int, Any] = {}

    def set(self, _group_id: int, buckets: Mapping[int, Any]) -> None:
        assert not self.is_busy, "two at once"
        self.is_busy = True
        hub.sleep(0)
        self.is_busy = False
        self.buckets = buckets
        self.weights += [buckets[0][0]] if buckets else []

    def close(self) -> None:
        pass


def groups_over(select_groups: SlowGroups, sent: list[Any], taken: Taken) -> WeightedGroups:
    no_connections: Any = SimpleNamespace(end=lambda _zone, _d_bid: 0)
    groups: Any = WeightedGroups([_SPEC], [ip_network("10.1.0.0/16")], 1, select_groups, no_connections, 1)  # type: ignore[arg-type]
    groups.connect(_DATAPATH, sent.append, taken)
    return groups


def set_weights(groups: WeightedGroups, weight: int) -> None:
    groups.set_weights(SetWeights(_D_SID, {_D_BID: weight}, frozenset({_D_BID})), now_s=0.0)


def test_weights_reach_the_switch_one_after_the_other_in_the_order_they_were_wanted() -> None:
    select_groups = SlowGroups()
    taken = Taken()
    groups = groups_over(select_groups, [], taken)
    set_weights(groups, 1)
    taken.all_of_it()
    threads = [hub.spawn(set_weights, groups, weight, raise_error=True) for weight in range(2, 9)]
    for thread in threads:
        thread.wait()
    assert select_groups.weights == list(range(1, 9))


def test_who_waited_for_a_switch_that_left_tells_the_new_one_nothing() -> None:
    select_groups, sent, sent_again, taken = SlowGroups(), [], [], Taken()
    groups = groups_over(select_groups, sent, taken)
    set_weights(groups, 1)
    taken.all_of_it()
    refused = []

    def try_to_spread() -> None:
        try:
            set_weights(groups, 2)
        except GroupError as error:
            refused.append(str(error))

    waiting = hub.spawn(try_to_spread)
    hub.sleep(0)
    assert select_groups.is_busy
    groups.disconnect()
    groups.connect(_DATAPATH, sent_again.append, taken)
    waiting.wait()
    assert (len(refused), sent_again) == (1, [])
    set_weights(groups, 2)
    assert sent_again, "the new switch is told of the service, for it has never heard of it"


def test_a_service_that_was_given_up_meanwhile_is_no_failure_of_the_process() -> None:
    groups = groups_over(SlowGroups(), [], Taken())
    set_weights(groups, 1)
    groups.remove(_D_SID)
    with pytest.raises(GroupError, match="no longer bound by the switch"):
        set_weights(groups, 2)


_OTHER = ip_address("10.3.0.10")


def spread(groups: WeightedGroups, shares: Mapping[Address, int]) -> None:
    groups.set_weights(SetWeights(_D_SID, shares, frozenset(shares)), now_s=0.0)


def chosen(select_groups: SlowGroups) -> list[tuple[int, int]]:
    """Return the instances that the group chooses from, by the registers of its buckets, and their shares."""
    return [(actions[0].value, share) for share, actions in select_groups.buckets.values()]


def test_an_instance_is_chosen_when_the_switch_has_what_brings_its_answers_home() -> None:
    select_groups, sent, taken = SlowGroups(), list[Any](), Taken()
    groups = groups_over(select_groups, sent, taken)
    spread(groups, {_D_BID: 64})
    assert sent, "its entries are under way"
    assert chosen(select_groups) == []
    taken.all_of_it()
    assert chosen(select_groups) == [(int(_D_BID), 64)]
    spread(groups, {_D_BID: 32, _OTHER: 32})
    assert chosen(select_groups) == [(int(_D_BID), 32)]
    spread(groups, {_D_BID: 16, _OTHER: 48})  # what is wanted last is what counts
    taken.all_of_it()
    assert chosen(select_groups) == [(int(_D_BID), 16), (int(_OTHER), 48)]


def test_the_switch_goes_on_as_it_did_until_it_has_the_entries_of_a_new_control_process() -> None:
    select_groups, sent, taken = SlowGroups(), list[Any](), Taken()
    groups_over(select_groups, sent, taken)
    groups = groups_over(select_groups, sent, taken)
    spread(groups, {_D_BID: 64})
    assert not [message for message in sent if message.table_id == SERVICE]
    taken.all_of_it()
    assert [message for message in sent if message.table_id == SERVICE]


def test_an_instance_that_died_and_came_back_at_once_waits_for_its_new_entries() -> None:
    select_groups, taken = SlowGroups(), Taken()
    groups = groups_over(select_groups, [], taken)
    spread(groups, {_OTHER: 64})
    taken.all_of_it()
    spread(groups, {_OTHER: 32, _D_BID: 32})
    spread(groups, {_OTHER: 64})
    groups.terminate_flows(_D_SID, _D_BID)
    spread(groups, {_OTHER: 32, _D_BID: 32})
    taken.one_of_it()
    assert chosen(select_groups) == [(int(_OTHER), 32)]
    taken.one_of_it()
    assert chosen(select_groups) == [(int(_D_BID), 32), (int(_OTHER), 32)]


def test_what_an_old_session_has_taken_says_nothing_of_a_new_one() -> None:
    select_groups, sent, taken, taken_later = SlowGroups(), list[Any](), Taken(), Taken()
    groups = groups_over(select_groups, sent, taken)
    spread(groups, {_D_BID: 64})
    groups.disconnect()
    taken.all_of_it()
    groups.connect(_DATAPATH, sent.append, taken_later)
    spread(groups, {_D_BID: 64})
    assert chosen(select_groups) == []
    taken_later.all_of_it()
    assert chosen(select_groups) == [(int(_D_BID), 64)]


def test_connections_are_ended_when_the_switch_leads_none_of_them_where_they_went() -> None:
    learns = GroupSpec(1, Service("render", (_D_SID,), flow_fields=("src", "dst")), _D_SID, zone=4711)
    ended, sent, taken = list[int](), list[Any](), Taken()
    conntrack: Any = SimpleNamespace(count=lambda _zone: 7, flush=ended.append)
    groups = WeightedGroups([learns], [ip_network("10.1.0.0/16")], 1, SlowGroups(), conntrack, 1)  # type: ignore[arg-type]
    groups.connect(_DATAPATH, sent.append, taken)
    set_weights(groups, 64)
    sent.clear()
    resetting = hub.spawn(groups.reset, [_D_SID], 0.0)
    hub.sleep(0)
    assert sent, "it is under way that what is bound is not looked for"
    assert ended == []
    taken.all_of_it()
    resetting.wait()
    assert ended == [4711]
