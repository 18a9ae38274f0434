"""Datapath mode of one D-Router's control process: sets and watches weighted groups, may fall back to reactive.

Between the pure D-Router and its switch. Owns when to look at the switch; `weighted_groups` owns what is sent to it.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from struct import unpack_from
from typing import Any, cast

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.datapath_mode.weighted_groups import Send, WeightedGroups
from ryu_apps.dyncast.entries.group_entries import ASSIGNED_COOKIE, KIND_MASK, REFUSED_COOKIE, GroupSpec, is_of_groups
from ryu_apps.dyncast.journal import Journal
from ryu_apps.openflow.flow_counts import FlowCounts
from ryu_apps.openflow.framework import hub, ofproto_v1_3
from ryu_apps.openflow.management_session import SessionError
from ryu_apps.openflow.select_groups import GroupError, GroupRefused, SelectGroups
from testbed.dyncast.actions import Action, InterceptService, ResetFlows, SetWeights, TerminateFlows, TrackDirectFlows
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.linux.ovs_conntrack import Conntrack, ConntrackError
from testbed.net.addresses import Address

WhenTaken = Callable[[Callable[[], Iterable[Action]]], None]
"""Has actions performed once the switch has taken all that was sent to it."""

_COUNT_INTERVAL_S = 0.25
_STAMP_INTERVAL_S = 1.0
_ROOM_INTERVAL_S = 5.0
_COOKIE_OFFSET = 8  # in a Flow-Mod


class DatapathMode:
    """All that concerns services whose flows the switch binds; does nothing if there are none."""

    def __init__(
        self, settings: ControlConfig, d_router: DRouter | Dispatcher, journal: Journal, logger: logging.Logger
    ) -> None:
        assert isinstance(d_router, DRouter) or not settings.ct_zones, "the switch of a Dispatcher binds nothing itself"
        self._d_router = cast(DRouter, d_router)
        self._journal = journal
        self._logger = logger
        self._services = {
            d_sid: service.name
            for service in settings.d_router.services
            if service.name in settings.ct_zones
            for d_sid in service.d_sids
        }
        self._lifetime_s = settings.d_router.metric_lifetime_s
        self._conntrack = Conntrack(settings.switch.datapath_type) if settings.switch is not None else None
        self._groups = _weighted_groups(settings, self._conntrack)
        self.loops: list[Callable[[], None]] = []
        if settings.switch is not None and self._groups is not None:
            self._counts = FlowCounts(settings.switch.management_socket)
            self.loops.append(self._count)
        self._refused: dict[Address, int] = {}
        self._next_stamp_s = self._next_room_s = 0.0
        self._tidy_s: float | None = None
        self._updating = 0
        self._when_taken: WhenTaken = _never
        self._known: set[Address] = set()  # instances that the switch knows of
        self._refusal: str | None = None
        self.handlers: dict[type, Callable[[Any], list[Action] | None]] = {
            SetWeights: self._perform,
            TerminateFlows: self._perform,
            ResetFlows: self._reset,
        }

    @property
    def binds_flows(self) -> bool:
        """Whether the switch binds flows itself, of which it says no more than how many there were."""
        return bool(self._services)

    def connect(self, datapath: Any, send: Send, when_taken: WhenTaken, now_s: float) -> None:
        """Take a switch that connected or came back."""
        if self._groups is not None:
            self._when_taken = when_taken
            self._groups.connect(datapath, send, self._update_when_taken)
            self._known = set()
            # By then every instance that is alive has been reported.
            self._tidy_s = now_s + self._lifetime_s

    def disconnect(self) -> None:
        """Forget a switch that went away."""
        if self._groups is not None:
            self._groups.disconnect()

    def _perform(self, action: SetWeights | TerminateFlows) -> list[Action]:
        """Carry an action out at the switch; return the actions that replace it where the switch cannot."""
        if self._groups is None or not self._groups.is_connected or action.d_sid not in self._services:
            return []
        new = action.members - self._known if isinstance(action, SetWeights) else frozenset()
        self._known |= new
        return [
            *map(TrackDirectFlows, new),
            *self._update(action.d_sid, partial(self._carry_out, self._groups, action)),
        ]

    def _carry_out(self, groups: WeightedGroups, action: SetWeights | TerminateFlows, now_s: float) -> None:
        if isinstance(action, TerminateFlows):
            self._d_router.counters["flows_broken"] += groups.terminate_flows(action.d_sid, action.d_bid)
        else:
            groups.set_weights(action, now_s)
            self._journal.set_weights(action, self._services[action.d_sid], now_s)

    def _update_when_taken(self, d_sid: Address, update: Callable[[float], None]) -> None:
        self._when_taken(partial(self._update, d_sid, update))

    def _update(self, d_sid: Address, update: Callable[[float], None]) -> list[Action]:
        """Update the switch for a D-SID; return the actions that replace it where the switch cannot."""
        self._updating += 1
        try:
            update(time.monotonic())
        except GroupRefused as error:
            self._refusal = str(error)
        except (GroupError, ConntrackError) as error:
            self._logger.warning("%s", error)
            self._d_router.on_weights_failed(d_sid)
        finally:
            self._updating -= 1
        return self._fall_back_if_refused()

    def _reset(self, action: ResetFlows) -> None:
        """End the flows of a service that the switch bound. Raises ConntrackError, GroupError."""
        if self._groups is not None:
            self._d_router.counters["bindings_reset"] += self._groups.reset(action.d_sids, time.monotonic())

    def next_timer_s(self) -> float:
        """Return when there is something to do at the switch; inf while there is none."""
        if self._groups is None or not self._groups.is_connected:
            return math.inf
        return min(self._next_stamp_s, self._next_room_s, math.inf if self._tidy_s is None else self._tidy_s)

    def on_timer(self, now_s: float) -> None:
        """Have new connections stamped; see whether they find no room; tidy up after a predecessor."""
        if self._groups is None or not self._groups.is_connected:
            return
        if now_s >= self._next_stamp_s:
            self._next_stamp_s = now_s + _STAMP_INTERVAL_S
            self._groups.stamp(now_s)
        if now_s >= self._next_room_s:
            self._next_room_s = now_s + _ROOM_INTERVAL_S
            self._see_whether_connections_find_room(self._groups)
        if self._tidy_s is not None and now_s >= self._tidy_s:
            self._tidy_s = None
            self._groups.remove_older_generations()

    def on_counted(self, cookie: int, packets: int, now_s: float) -> None:
        """Take in the count of a flow entry, if it is one of ours."""
        if self._groups is None:
            return
        assigned = self._groups.assigned(cookie)
        if assigned is not None:
            self._d_router.on_flows_assigned(*assigned, packets, now_s)
        refused = self._groups.refused(cookie)
        if refused is not None:
            self._refused[refused] = packets
            self._d_router.counters["refused_by_switch"] = sum(self._refused.values())

    def error_about(self, cookie: int) -> Address | None:
        """Return the D-SID of the connection that an ICMPv6 error is about, by the entry that brought it up."""
        return None if self._groups is None else self._groups.error_about(cookie)

    def on_error(self, message: bytes) -> list[Action]:
        """Handle the refusal of a message; the switch sent it back, as far as it fits into an error."""
        if self._groups is None or len(message) < _COOKIE_OFFSET + 8 or message[1] != ofproto_v1_3.OFPT_FLOW_MOD:
            return []
        (cookie,) = unpack_from("!Q", message, _COOKIE_OFFSET)
        if is_of_groups(cookie):
            self._refusal = "it refused a flow entry"
        return self._fall_back_if_refused()

    def _count(self) -> None:
        failures = 0
        while True:
            hub.sleep(_COUNT_INTERVAL_S)
            if self._groups is None or not self._groups.is_connected:
                continue
            try:
                counts = self._counts.read((ASSIGNED_COOKIE, REFUSED_COOKIE), KIND_MASK)
            except SessionError as error:
                failures += 1
                if failures == 2:  # one alone is how a session ends when its switch restarts
                    self._logger.warning("the switch does not say what it counted: %s", error)
                continue
            failures, now_s = 0, time.monotonic()
            for cookie, packets in counts:
                self.on_counted(cookie, packets, now_s)

    def _see_whether_connections_find_room(self, groups: WeightedGroups) -> None:
        try:
            refused = groups.connections_refused()
        except ConntrackError as error:
            self._logger.warning("%s", error)
            return
        if refused:
            usage = self._conntrack and self._conntrack.usage()
            size = f" ({usage})" if usage else ""
            self._logger.warning("the connection table is full%s: %d packets of new connections refused", size, refused)
            self._d_router.counters["refused_conntrack_full"] += refused

    def _fall_back_if_refused(self) -> list[Action]:
        """Return the actions that have the D-Router bind the flows of all services itself."""
        # The refusal may arrive while another thread of control still updates the switch: what that has yet to send
        # would undo what is sent here.
        if self._refusal is None or self._updating:
            return []
        reason, self._refusal = self._refusal, None
        services, self._services = self._services, {}  # at once: more refusals arrive while messages go out
        actions: list[Action] = []
        for service in dict.fromkeys(services.values()):
            self._logger.warning("%s: the switch knows no datapath mode (%s); it is reactive now", service, reason)
            self._d_router.counters["fell_back_to_reactive"] += 1
            actions += self._d_router.on_datapath_mode_refused(service)
        if self._groups is not None:
            for action in actions:
                if isinstance(action, InterceptService):
                    self._groups.remove(action.d_sid)
        return actions


def _weighted_groups(settings: ControlConfig, conntrack: Conntrack | None) -> WeightedGroups | None:
    services = [service for service in settings.d_router.services if service.name in settings.ct_zones]
    if settings.switch is None or conntrack is None or not services:
        return None
    d_sids = [(service, d_sid) for service in services for d_sid in service.d_sids]
    return WeightedGroups(
        [GroupSpec(number, *of, settings.ct_zones[of[0].name]) for number, of in enumerate(d_sids, 1)],
        settings.switch.prefixes,
        settings.uplink_port,
        SelectGroups(settings.switch.management_socket),
        conntrack,
        generation=os.getpid() & 0xFF,
        direct_zone=settings.switch.direct.ct_zone if settings.switch.direct else None,
    )


def _never(_: Callable[[], Iterable[Action]]) -> None:
    """Do nothing: no switch is connected that could take anything."""
