"""While a switch takes a group, others of the control process go on: what they want spread must wait for its turn."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from ryu_apps.dyncast.datapath_mode.pools import Pools
from ryu_apps.dyncast.entries.pool_entries import PoolSpec
from ryu_apps.openflow.framework import hub, ofproto_v1_3, ofproto_v1_3_parser
from ryu_apps.openflow.select_groups import GroupError
from testbed.dyncast.actions import SetWeights
from testbed.dyncast.affinity.service import Service

_DATAPATH = SimpleNamespace(ofproto=ofproto_v1_3, ofproto_parser=ofproto_v1_3_parser)
_D_SID = ip_address("203.0.113.10")
_SPEC = PoolSpec(1, Service("render", (_D_SID,)), _D_SID, zone=4711)
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


def pools_over(groups: SlowGroups, sent: list[Any]) -> Pools:
    pools: Any = Pools([_SPEC], [ip_network("10.1.0.0/16")], 1, groups, None, 1)  # type: ignore[arg-type]
    pools.connect(_DATAPATH, sent.append)
    return pools


def set_weights(pools: Pools, weight: int) -> None:
    pools.set_weights(SetWeights(_D_SID, {_D_BID: weight}, frozenset({_D_BID})), now_s=0.0)


def test_weights_reach_the_switch_one_after_the_other_in_the_order_they_were_wanted() -> None:
    groups = SlowGroups()
    pools = pools_over(groups, [])
    threads = [hub.spawn(set_weights, pools, weight, raise_error=True) for weight in range(1, 9)]
    for thread in threads:
        thread.wait()
    assert groups.weights == list(range(1, 9))


def test_who_waited_for_a_switch_that_left_tells_the_new_one_nothing() -> None:
    groups, sent, sent_anew = SlowGroups(), [], []
    pools = pools_over(groups, sent)
    refused = []

    def try_to_spread() -> None:
        try:
            set_weights(pools, 1)
        except GroupError as error:
            refused.append(str(error))

    waiting = hub.spawn(try_to_spread)
    hub.sleep(0)
    assert groups.is_busy
    pools.disconnect()
    pools.connect(_DATAPATH, sent_anew.append)
    waiting.wait()
    assert (len(refused), sent_anew) == (1, [])
    set_weights(pools, 2)
    assert sent_anew, "the new switch is told of the service, for it has never heard of it"


def test_a_service_that_was_given_up_meanwhile_is_no_failure_of_the_process() -> None:
    pools = pools_over(SlowGroups(), [])
    set_weights(pools, 1)
    pools.remove(_D_SID)
    with pytest.raises(GroupError, match="no longer bound by the switch"):
        set_weights(pools, 2)
