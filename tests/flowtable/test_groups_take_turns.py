"""While a switch takes a group, others of the control process go on: what they want spread must wait for its turn."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode.weighted_groups import WeightedGroups
from ryu_apps.dyncast.entries.group_entries import GroupSpec
from ryu_apps.openflow.framework import hub, ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.select_groups import GroupError
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.affinity.service import Service

_DATAPATH = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
_D_SID = ip_address("203.0.113.10")
_SPEC = GroupSpec(1, Service("render", (_D_SID,)), _D_SID, zone=4711)
_D_BID = ip_address("10.2.0.10")


class SlowGroups:
    """A session at a switch that answers later; who uses it twice at once breaks it."""

    def __init__(self) -> None:
        self.is_busy = False
        self.weights: list[int] = []

    def set(self, _group_id: int, buckets: Mapping[int, Any]) -> None:
        assert not self.is_busy, "two at once"
        self.is_busy = True
        hub.sleep(0)
        self.is_busy = False
        self.weights.append(buckets[0][0])

    def close(self) -> None:
        pass


def groups_over(select_groups: SlowGroups, sent: list[Any]) -> WeightedGroups:
    groups: Any = WeightedGroups([_SPEC], [ip_network("10.1.0.0/16")], 1, select_groups, None, 1)  # type: ignore[arg-type]
    groups.connect(_DATAPATH, sent.append)
    return groups


def set_weights(groups: WeightedGroups, weight: int) -> None:
    groups.set_weights(SetWeights(_D_SID, {_D_BID: weight}, frozenset({_D_BID})), now_s=0.0)


def test_weights_reach_the_switch_one_after_the_other_in_the_order_they_were_wanted() -> None:
    select_groups = SlowGroups()
    groups = groups_over(select_groups, [])
    threads = [hub.spawn(set_weights, groups, weight, raise_error=True) for weight in range(1, 9)]
    for thread in threads:
        thread.wait()
    assert select_groups.weights == list(range(1, 9))


def test_who_waited_for_a_switch_that_left_tells_the_new_one_nothing() -> None:
    select_groups, sent, sent_again = SlowGroups(), [], []
    groups = groups_over(select_groups, sent)
    refused = []

    def try_to_spread() -> None:
        try:
            set_weights(groups, 1)
        except GroupError as error:
            refused.append(str(error))

    waiting = hub.spawn(try_to_spread)
    hub.sleep(0)
    assert select_groups.is_busy
    groups.disconnect()
    groups.connect(_DATAPATH, sent_again.append)
    waiting.wait()
    assert (len(refused), sent_again) == (1, [])
    set_weights(groups, 2)
    assert sent_again, "the new switch is told of the service, for it has never heard of it"


def test_a_service_that_was_given_up_meanwhile_is_no_failure_of_the_process() -> None:
    groups = groups_over(SlowGroups(), [])
    set_weights(groups, 1)
    groups.remove(_D_SID)
    with pytest.raises(GroupError, match="no longer bound by the switch"):
        set_weights(groups, 2)
