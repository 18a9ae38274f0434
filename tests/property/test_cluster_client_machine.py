"""The cluster client in any order of requests, lists, reports and time: every request is answered once, and in time."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.faas.cluster_client.actions import AskClusters, Deliver, Redirect, Refuse, Remove
from testbed.faas.placement.views import ClusterView
from tests.cluster_client_samples import PlayedClient
from tests.placement_samples import EVERY_POLICY, cluster, path

FUNCTIONS, SITES, CLUSTERS = ("detect", "thumbnail", "none"), ("east", "west"), ("cloud", "near", "far")
WAIT_S, DELIVERY_S, REMOVAL_S = 20.0, 15.0, 5.0


class ClientMachine(RuleBasedStateMachine):
    """The ALTO client and the clusters are played by Hypothesis: they do as ordered, fail, or say nothing."""

    @initialize(
        policy=st.sampled_from(EVERY_POLICY),
        unused_s=st.none() | st.just(10.0),
        pinned=st.sampled_from([{}, {"detect": ("cloud",)}]),
    )
    def begin(self, policy: str, unused_s: float | None, pinned: dict[str, tuple[str, ...]]) -> None:
        self.client = PlayedClient(
            policy_name=policy, held=pinned, unused_s=unused_s, wait_s=WAIT_S, delivery_s=DELIVERY_S,
            removal_s=REMOVAL_S, most_waiting=20, silent_after_s=8.0, horizon_s=30.0,
        )  # fmt: skip
        self.pinned = {(function, name) for function, names in pinned.items() for name in names}
        self.asked_s: dict[int, float] = {}  # requests that have no answer yet
        self.functions: dict[int, str] = {}
        self.lists: set[str] = set()  # sites that wait for a list
        self.orders: dict[int, Deliver | Remove] = {}
        self.reported: set[int] = set()
        self.open: dict[tuple[str, str], int] = {}

    def _look(self) -> None:
        for action in self.client.actions:
            self._on_action(action)
        self.client.actions.clear()

    def _on_action(self, action: Any) -> None:
        match action:
            case AskClusters(site):
                self.lists.add(site)
            case Deliver(_, function, name):
                self._on_order(action, (function, name))
            case Remove(_, function, name):
                assert (function, name) not in self.pinned, "what was put there by other means stays"
                self._on_order(action, (function, name))
            case Redirect(request, function, _, chosen):
                del self.asked_s[request]  # answered once
                assert function == self.functions[request]
                state = self.client.copies()[function, chosen.cluster]  # by now it may be on its way out
                assert state in ("held", "removing", "failed"), "users go only where the function is"
            case Refuse(request):
                del self.asked_s[request]

    def _on_order(self, action: Deliver | Remove, pair: tuple[str, str]) -> None:
        """One order at a time for a function at a cluster, until it is reported or given up."""
        former = self.open.get(pair)
        if former is not None:
            within_s = DELIVERY_S if isinstance(self.orders[former], Deliver) else REMOVAL_S
            assert self.client.ordered_s[action.order] - self.client.ordered_s[former] >= within_s
        self.open[pair] = action.order
        self.orders[action.order] = action

    @rule(function=st.sampled_from(FUNCTIONS), site=st.sampled_from(SITES))
    def ask(self, function: str, site: str) -> None:
        number = self.client._number + 1
        self.asked_s[number], self.functions[number] = self.client.now_s, function
        self.client.ask(function, site)
        self._look()

    @precondition(lambda self: self.asked_s)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.asked_s)))
        del self.asked_s[number]
        self.client.core.on_client_gone(number)

    @precondition(lambda self: self.lists)
    @rule(data=st.data(), names=st.lists(st.sampled_from(CLUSTERS), unique=True))
    def answer_with_a_list(self, data: st.DataObject, names: list[str]) -> None:
        site = data.draw(st.sampled_from(sorted(self.lists)))
        self.lists.discard(site)
        self.client.core.on_clusters(site, [self._view(name, data) for name in names], self.client.now_s)
        self.client.collect()
        self._look()

    def _view(self, name: str, data: st.DataObject) -> ClusterView:
        now_s = self.client.now_s
        return cluster(
            name,
            functions=data.draw(st.none() | st.just(self.client.functions_at(name))),
            memory_mb=data.draw(st.sampled_from([None, 128, 2048])),
            waiting=data.draw(st.sampled_from([0, 0, 200])),
            from_user=path(data.draw(st.sampled_from([2, 60, 900]))),
            known_s=data.draw(st.sampled_from([None, now_s, now_s - 1, now_s - 30])),
        )

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def answer_without_a_list(self, data: st.DataObject) -> None:
        site = data.draw(st.sampled_from(sorted(self.lists)))
        self.lists.discard(site)
        self.client.core.on_no_clusters(site, "refused", self.client.now_s)

    @precondition(lambda self: self.orders.keys() > self.reported)
    @rule(data=st.data(), well=st.booleans(), is_late=st.booleans())
    def report(self, data: st.DataObject, well: bool, is_late: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.orders.keys() - self.reported)))
        order = self.orders[number]
        self.open = {pair: open_order for pair, open_order in self.open.items() if open_order != number}
        if not is_late:  # else it is reported again
            self.reported.add(number)
        core, now_s = self.client.core, self.client.now_s
        if isinstance(order, Deliver):
            if well:
                self.client.delivered(number)
            else:
                core.on_not_delivered(number, "refused", now_s)
        elif well:
            self.client.removed(number)
        else:
            core.on_not_removed(number, "refused", now_s)
        self.client.collect()
        self._look()

    @rule(name=st.sampled_from(CLUSTERS))
    def a_cluster_loses_all(self, name: str) -> None:
        self.client.held = {(function, holder) for function, holder in self.client.held if holder != name}

    @rule(seconds=st.floats(0.01, 25.0))
    def pass_time(self, seconds: float) -> None:
        self.client.pass_s(seconds)
        self._look()

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "client"):
            return
        now_s = self.client.now_s
        assert all(now_s - asked_s < WAIT_S for asked_s in self.asked_s.values()), "no request waits longer"
        assert self.client.core.state()["waiting"] == len(self.asked_s) <= 20
        due_s = self.client.core.next_timer_s()
        assert due_s is None or math.isfinite(due_s)
        for item in self.client.core.state()["placements"]:
            assert len(set(item["clusters"])) == len(item["clusters"])
            assert item["moving_to"] not in item["clusters"]

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        self.client.pass_s(WAIT_S + 1)
        self._look()
        assert not self.asked_s, "every request is answered"
        self.client.pass_s(1000.0)
        states = set(self.client.copies().values())
        assert not states & {"delivering", "removing"}, "every order ends"


TestClusterClient = ClientMachine.TestCase
TestClusterClient.settings = settings(stateful_step_count=50, deadline=None)
