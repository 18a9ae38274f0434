"""The cluster client: the door of this core. Requests, lists and reports come in, actions go out.

A request goes to the cluster that holds its function and ranks best; if none holds it, it waits for the delivery, for
`wait_s` at most, and whatever else waits for the same function waits for the same delivery. Placements are looked at
when users ask or a list comes that was asked for because they did: where nobody asks, nothing is delivered or moved.
`now_s` never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from testbed.faas.cluster_client.actions import Action, AskClusters, Deliver, Reason, Redirect, Refuse, Remove
from testbed.faas.cluster_client.copies import Copies, Copy, Event, State
from testbed.faas.cluster_client.lists import ClusterLists
from testbed.faas.cluster_client.loads import Assigned, RequestRate
from testbed.faas.cluster_client.placements import Placement, Situation
from testbed.faas.cluster_client.settings import ClientSettings
from testbed.faas.cluster_client.waiting import Waiting, WaitingRequests
from testbed.faas.placement.candidates import candidates
from testbed.faas.placement.function import Function
from testbed.faas.placement.policies import Policy, Ranked
from testbed.faas.placement.views import ClusterView

_PAUSED = (State.FAILED, State.REMOVING)  # nothing can be delivered there now


class ClusterClient:
    """One cluster client. After each call that takes `now_s`, `take_actions` has what is to be done.

    `held`: the clusters, by function, at which functions are that are put there by other means, and stay.
    `announced_after_s`: how long after a delivery the network steers users to it, by function, if it does.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        policy: Policy,
        rng: Random,
        settings: ClientSettings,
        held: Mapping[str, Iterable[str]],
        now_s: float,
        announced_after_s: Mapping[str, float] = {},
    ) -> None:
        self._announced_after_s = announced_after_s
        self.functions = {function.name: function for function in functions}
        self._policy, self._rng, self._settings = policy, rng, settings
        self._copies = Copies(settings)
        self._lists = ClusterLists(settings)
        self._assigned = Assigned()
        self._waiting = WaitingRequests()
        self._placements: dict[tuple[str, str], Placement] = {}  # by site and function
        self._actions: list[Action] = []
        self._sweep_s = math.inf  # when the next function may have been unused for too long
        self._is_closed = False
        for function, clusters in held.items():
            for cluster in clusters:
                self._copies.pin(function, cluster, now_s)

    # What comes in ------------------------------------------------------------------------------------------------

    def on_request(self, request: int, function: str, site: str, now_s: float) -> None:
        """A user asks for a function; `Redirect` or `Refuse` with this number follows now or later, once."""
        found = self.functions.get(function)
        if found is None:
            names = ", ".join(sorted(self.functions)) or "none"
            self._refuse(
                request, Reason.UNKNOWN_FUNCTION, f"there is no function {function[:100]!r}; there are: {names}"
            )
        elif self._is_closed:
            self._refuse(request, Reason.STOPPED, Reason.STOPPED.value)
        elif len(self._waiting) >= self._settings.most_waiting:
            detail = f"{len(self._waiting)} requests wait already"
            self._refuse(request, Reason.TOO_MANY, detail, self._settings.pause_s)
        else:
            placement = self._placement(found, site, now_s)
            placement.rate.add(now_s)
            placement.asked_s = now_s
            self._waiting.add(Waiting(request, function, site, now_s, now_s + self._settings.wait_s))
            self._refresh(site, now_s)
            self._settle(placement, now_s)

    def on_client_gone(self, request: int) -> None:
        """A user did not wait for its answer; a delivery that it waited for goes on."""
        self._waiting.drop(request)

    def on_clusters(self, site: str, views: Sequence[ClusterView], now_s: float) -> None:
        """A list of clusters came, as a site sees them (step 3)."""
        known = self._lists.find(site)
        former_s = -math.inf if known is None else known.received_s
        if not self._lists.put(site, views, now_s):
            return
        changed = self._take_reports(views, now_s)
        for placement in list(self._placements.values()):
            is_asked = placement.site == site and placement.asked_s >= former_s
            if is_asked or (placement.function.name in changed and self._awaits(placement)):
                self._settle(placement, now_s)

    def on_no_clusters(self, site: str, failure: str, now_s: float) -> None:
        """No list came. `failure`: why, in one line."""
        self._lists.fail(site, failure, now_s)

    def on_delivered(self, order: int, now_s: float) -> None:
        """A function is at a cluster."""
        self._finish(order, Event.DELIVERED, now_s)

    def on_not_delivered(self, order: int, failure: str, now_s: float) -> None:
        """A delivery failed. `failure`: why, in one line."""
        self._finish(order, Event.NOT_DELIVERED, now_s, failure)

    def on_removed(self, order: int, now_s: float) -> None:
        """A function is no more at a cluster."""
        self._finish(order, Event.REMOVED, now_s)

    def on_not_removed(self, order: int, failure: str, now_s: float) -> None:
        """A removal failed. `failure`: why, in one line."""
        self._finish(order, Event.NOT_REMOVED, now_s, failure)

    def on_timer(self, now_s: float) -> None:
        """Do what is due."""
        for order, event in self._copies.overdue(now_s):
            self._finish(order, event, now_s, "nothing was reported of it in time")
        for site in self._lists.overdue(now_s):
            self.on_no_clusters(site, f"the ALTO client gave no list within {self._settings.list_s:g} s", now_s)
        for waiting in self._waiting.overdue(now_s):
            detail = f"waited {now_s - waiting.since_s:.1f} s: {self._why(waiting, now_s)}"
            self._waiting.drop(waiting.request)
            self._refuse(waiting.request, Reason.NOT_IN_TIME, detail, self._settings.pause_s)
        self._copies.end_pauses(now_s)
        for site in self._waiting.sites():
            self._refresh(site, now_s)
            for function in self._waiting.functions(site):
                self._settle(self._placements[site, function], now_s)
        if self._sweep_s <= now_s:
            self._remove_unused(now_s)

    def close(self, now_s: float) -> None:
        """Take no more requests; those that wait are refused."""
        del now_s
        self._is_closed = True
        for waiting in list(self._waiting.all()):
            self._waiting.drop(waiting.request)
            self._refuse(waiting.request, Reason.STOPPED, Reason.STOPPED.value)

    # What goes out ------------------------------------------------------------------------------------------------

    def take_actions(self) -> list[Action]:
        """Return the actions since the last call."""
        actions, self._actions = self._actions, []
        return actions

    def next_timer_s(self) -> float | None:
        """Return when `on_timer` must be called next; None: not until something happens."""
        due_s = [self._copies.next_deadline_s(), self._lists.next_deadline_s(), self._waiting.next_deadline_s()]
        known_s = [self._sweep_s, *self._retries_s(), *(one for one in due_s if one is not None)]
        earliest_s = min(known_s)
        return None if earliest_s == math.inf else earliest_s

    def state(self) -> dict[str, Any]:
        """Return what is where and why, for whoever looks."""
        return {
            "waiting": len(self._waiting),
            "copies": [
                {
                    "function": copy.function,
                    "cluster": copy.cluster,
                    "state": copy.state.name.lower(),
                    "failure": copy.failure,
                }
                for copy in self._copies.all()
                if copy.state is not State.ABSENT
            ],
            "placements": [
                {
                    "function": item.function.name,
                    "site": item.site,
                    "clusters": list(item.clusters),
                    "moving_to": item.moving_to,
                    "moves": item.moves,
                }
                for item in self._placements.values()
            ],
        }

    # Deciding -----------------------------------------------------------------------------------------------------

    def _settle(self, placement: Placement, now_s: float) -> None:
        """Place a function for a site by what is known now, order what is missing, and answer what waits."""
        known = self._lists.find(placement.site)
        if known is None or known.views is None:
            return
        now = self._situation(placement, known.views, now_s)
        placement.follow(now)
        for cluster in placement.wanted:
            self._deliver(self._copies.get(placement.function.name, cluster, now_s), now_s)
        for number, waiting in enumerate(self._waiting.of(placement.function.name, placement.site)):
            if number > 0:  # the one before may have filled a cluster
                now = self._situation(placement, known.views, now_s)
            chosen = self._chosen(placement, now)
            if chosen is not None:
                self._redirect(waiting, chosen, now_s)
            elif self._is_hopeless(placement, known.views, now_s):
                self._waiting.drop(waiting.request)
                self._refuse(waiting.request, Reason.NO_CLUSTER, _none_can(placement.function, known.views))

    def _situation(self, placement: Placement, views: Sequence[ClusterView], now_s: float) -> Situation:
        function, settings = placement.function, self._settings
        usable = [
            self._as_known(function, view, now_s)
            for view in views
            if self._copies.get(function.name, view.name, now_s).state not in _PAUSED
        ]
        demand = placement.demand(settings.horizon_s, now_s)
        able = candidates(function, usable, now_s, settings.silent_after_s)
        ranking = self._policy.ranking(function, able, demand, self._rng)
        return Situation(
            self._policy, ranking, demand, settings.margin, lambda cluster: self._is_held(function, cluster, now_s)
        )

    def _as_known(self, function: Function, view: ClusterView, now_s: float) -> ClusterView:
        """Return a view with what this client did itself since it was measured."""
        held = frozenset({function.name}) if self._is_held(function, view.name, now_s) else frozenset()
        return replace(view, functions=held, assigned=self._assigned.since(view.name, view.known_s, now_s))

    def _is_held(self, function: Function, cluster: str, now_s: float) -> bool:
        return self._copies.get(function.name, cluster, now_s).state is State.HELD

    def _chosen(self, placement: Placement, now: Situation) -> Ranked | None:
        """Return where a user goes: to a cluster that holds the function."""
        held = [item for item in now.ranking if now.is_held(item.cluster)]
        if not self._policy.goes_by_time:
            held.sort(key=lambda item: item.cluster not in placement.clusters)
        return held[0] if held else None

    def _is_hopeless(self, placement: Placement, views: Sequence[ClusterView], now_s: float) -> bool:
        """Return whether no cluster will have the function, whatever comes."""
        name = placement.function.name
        return not placement.wanted and not any(
            self._copies.get(name, view.name, now_s).state in _PAUSED for view in views
        )

    def _deliver(self, copy: Copy, now_s: float) -> None:
        if copy.can(Event.DELIVER):
            order = self._copies.order(copy, Event.DELIVER, now_s)
            self._actions.append(Deliver(order, copy.function, copy.cluster))

    def _redirect(self, waiting: Waiting, chosen: Ranked, now_s: float) -> None:
        self._waiting.drop(waiting.request)
        is_steered = self._is_announced(waiting.function, now_s)
        if is_steered:  # the network chooses, and where they go is seen in reports alone
            for copy in self._copies.of(waiting.function):
                copy.used_s = now_s
        else:
            self._copies.get(waiting.function, chosen.cluster, now_s).used_s = now_s
            takes_ms = chosen.time.start_ms + chosen.time.next_ms
            self._assigned.add(chosen.cluster, now_s, takes_ms, arrives_ms=chosen.time.path_ms)
        waited_s = now_s - waiting.since_s
        self._actions.append(Redirect(waiting.request, waiting.function, waiting.site, chosen, waited_s, is_steered))

    def _is_announced(self, function: str, now_s: float) -> bool:
        """Return whether the network steers users of a function to some cluster that holds it."""
        after_s = self._announced_after_s.get(function)
        return after_s is not None and any(
            copy.state is State.HELD and now_s - copy.since_s >= after_s for copy in self._copies.of(function)
        )

    def _refuse(self, request: int, reason: Reason, detail: str, retry_after_s: float | None = None) -> None:
        self._actions.append(Refuse(request, reason, detail, retry_after_s))

    def _why(self, waiting: Waiting, now_s: float) -> str:
        """Return what a request waits for."""
        known = self._lists.find(waiting.site)
        if known is None or known.views is None:
            return f"there is no list of clusters yet{f' ({known.failure})' if known and known.failure else ''}"
        copies = [copy for copy in self._copies.of(waiting.function) if copy.state is not State.ABSENT]
        said = [
            f"{copy.state.name.lower()} at {copy.cluster} for {now_s - copy.since_s:.1f} s"
            + (f" ({copy.failure})" if copy.failure else "")
            for copy in copies
        ]
        return f"{waiting.function} is {', '.join(said) or 'at no cluster'}"

    # Copies and lists ---------------------------------------------------------------------------------------------

    def _placement(self, function: Function, site: str, now_s: float) -> Placement:
        key = site, function.name
        found = self._placements.get(key)
        if found is None:
            self._forget_a_site(site)
            rate = RequestRate(self._settings.expected_per_s, self._settings.rate_window_s, now_s)
            found = self._placements[key] = Placement(function, site, rate, now_s)
        return found

    def _forget_a_site(self, new: str) -> None:
        sites = self._lists.longest_unused()
        if len(sites) < self._settings.most_sites or self._lists.find(new) is not None:
            return
        waiting = self._waiting.sites()
        old = next((site for site in sites if site not in waiting), None)
        if old is not None:
            self._lists.forget(old)
            for function in self.functions:
                self._placements.pop((old, function), None)

    def _refresh(self, site: str, now_s: float) -> None:
        if self._lists.ask(site, now_s):
            self._actions.append(AskClusters(site))

    def _take_reports(self, views: Iterable[ClusterView], now_s: float) -> set[str]:
        """Take in which functions clusters report; return those that are somewhere or no more somewhere by it."""
        changed = set()
        for view in views:
            if view.functions is None or view.known_s is None:
                continue
            for name in self.functions:
                is_held = name in view.functions
                if self._copies.report(name, view.name, is_held=is_held, known_s=view.known_s, now_s=now_s):
                    changed.add(name)
        if changed:
            self._expect_sweep(now_s)
        return changed

    def _finish(self, order: int, event: Event, now_s: float, failure: str = "") -> None:
        copy = self._copies.finish(order, event, now_s, failure)
        if copy is None:
            return
        self._expect_sweep(now_s)
        for placement in list(self._placements.values()):
            is_concerned = copy.cluster in placement.wanted and event is not Event.REMOVED  # else it would come back
            is_concerned = is_concerned or self._awaits(placement)
            if placement.function.name == copy.function and is_concerned and self._is_active(placement, now_s):
                self._settle(placement, now_s)

    def _awaits(self, placement: Placement) -> bool:
        return bool(self._waiting.of(placement.function.name, placement.site))

    def _is_active(self, placement: Placement, now_s: float) -> bool:
        return placement.asked_s + self._settings.horizon_s > now_s or self._awaits(placement)

    def _retries_s(self) -> list[float]:
        """Return when something can be tried again for which a request waits."""
        retries_s = []
        for site in self._waiting.sites():
            known = self._lists.find(site)
            if known is not None and known.views is None and known.asked_s is None:
                retries_s.append(known.retry_s)
        for function in {item.function for item in self._waiting.all()}:
            retries_s += self._copies.pauses_s(function)
        return retries_s

    # Removal ------------------------------------------------------------------------------------------------------

    def _expect_sweep(self, now_s: float) -> None:
        if self._settings.unused_s is not None:
            self._sweep_s = min(self._sweep_s, now_s + self._settings.unused_s)

    def _remove_unused(self, now_s: float) -> None:
        """Remove functions from clusters that no user was sent to for long, unless users want it there all the same."""
        unused_s = self._settings.unused_s
        assert unused_s is not None
        self._sweep_s = math.inf
        for copy in list(self._copies.all()):
            if copy.state is not State.HELD or copy.is_pinned:
                continue
            due_s = max([copy.used_s, *self._wanted_s(copy)]) + unused_s
            if due_s <= now_s:
                order = self._copies.order(copy, Event.REMOVE, now_s)
                self._actions.append(Remove(order, copy.function, copy.cluster))
            else:
                self._sweep_s = min(self._sweep_s, due_s)

    def _wanted_s(self, copy: Copy) -> list[float]:
        placements = (item for item in self._placements.values() if item.function.name == copy.function)
        return [item.asked_s for item in placements if copy.cluster in item.wanted]


def _none_can(function: Function, views: Sequence[ClusterView]) -> str:
    names = ", ".join(view.name for view in views) or "none"
    return (
        f"{function.name} needs {function.memory_mb} MB and {function.kind}; "
        f"of the clusters ({names}) none can hold it, or the policy takes none of them"
    )
