"""What Dyncast's faults do: instances started and drained, control processes started again, and who knows of it.

Owns the ways to reach into a run: through processes, the sockets and admin ports of instances, and the sockets
at which D-Routers are looked into.
"""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, Protocol

from testbed import json_documents
from testbed.agents.host import state_socket
from testbed.agents.http import client
from testbed.agents.http.admin import METRICS_PATH
from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.netns import namespaces
from testbed.experiment.faults.operations import Operations, TestbedOperations
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT

if TYPE_CHECKING:
    from testbed.experiment.systems.dyncast.launch.running import RunningDyncast

_ADMIN_LIMIT_S = 2.0
_LONGEST_ANSWER = 64


class Activity(NamedTuple):
    """What an instance has to do: sessions there are, and all that began."""

    sessions: int
    started: int


class DyncastOperations(Operations, Protocol):
    """What Dyncast's faults do, besides what all do."""

    def start_instance(self, name: str) -> str:
        """Start an instance."""

    def start_control(self, site: str) -> str:
        """Start the control process of a D-Router."""

    def set_state(self, instance: str, state: str) -> str:
        """Have an instance say that it is up or draining."""

    def router_without(self, instance: str) -> str:
        """Return a D-Router that would assign no flow to the instance yet; empty: all would."""

    def activity(self, instance: str) -> Activity | None:
        """Ask an instance what it has to do; None if it does not answer."""


class RunOperations(TestbedOperations):
    """The operations of a run with Dyncast."""

    def __init__(self, dyncast: RunningDyncast) -> None:
        super().__init__(dyncast.testbed)
        self._plan = dyncast.plan
        self._dyncast = dyncast

    def start_instance(self, name: str) -> str:
        """Start an instance."""
        if self._processes.is_running(name):
            return f"{name} ran already"
        self._dyncast.start_instance(name)
        return ""

    def start_control(self, site: str) -> str:
        """Start the control process of a D-Router."""
        if self._processes.is_running(f"control@{site}"):
            return f"control@{site} ran already"
        self._dyncast.start_control(site)
        return ""

    def set_state(self, instance: str, state: str) -> str:
        """Have an instance say that it is up or draining."""
        if not self._processes.is_running(instance):
            return f"{instance} did not run"
        try:
            answer = self._request_state(instance, state)
        except OSError as error:
            return f"{instance} did not answer: {error}"
        return "" if answer == state else f"{instance} answered {answer!r}"

    def router_without(self, instance: str) -> str:
        """Return a D-Router that would assign no flow to the instance yet; empty: all would."""
        d_bid = next(item.d_bid for item in self._plan.instances if item.name == instance)
        return next((site for site in self._plan.sites if not self._would_assign_flows(site, d_bid)), "")

    def activity(self, instance: str) -> Activity | None:
        """Ask an instance what it has to do; None if it does not answer."""
        try:
            figures = json_documents.parse(self._metrics(instance))
            return Activity(int(figures["sessions"]), int(figures["sessions_started"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):  # also what is no object, and no number
            return None

    def _would_assign_flows(self, site: str, d_bid: str) -> bool:
        try:
            if any(row["usable"] and row["d_bid"] == d_bid for row in self._dyncast.inspect(site, "bindings")):
                return True
            # One to which a controller sends shares of flows knows no more of it.
            return any(row["d_bid"] == d_bid for row in self._dyncast.inspect(site, "weights"))
        except InspectionError:
            return False

    def _request_state(self, instance: str, state: str) -> str:
        with closing(self._socket_at(instance, socket.AF_UNIX)) as opened:
            opened.connect(state_socket.NAME.format(admin_port=ADMIN_PORT))
            opened.sendall(f"{state}\n".encode())
            with opened.makefile("rb") as answers:
                return answers.readline(_LONGEST_ANSWER).decode("ascii", "replace").strip()

    def _metrics(self, instance: str) -> bytes:
        address = str(self._plan.addresses.host(self._host(instance)).ipv4.ip)
        deadline_s = time.monotonic() + _ADMIN_LIMIT_S
        with closing(self._socket_at(instance, socket.AF_INET)) as opened:
            opened.connect((address, ADMIN_PORT))
            return client.exchange(opened, f"GET {METRICS_PATH}", f"{address}:{ADMIN_PORT}", deadline_s).body

    def _socket_at(self, instance: str, family: socket.AddressFamily) -> socket.socket:
        opened = namespaces.socket_in(self._testbed.network.pid(self._host(instance)), family, socket.SOCK_STREAM)
        opened.settimeout(_ADMIN_LIMIT_S)
        return opened

    def _host(self, instance: str) -> str:
        return next(item.host for item in self._plan.instances if item.name == instance)
