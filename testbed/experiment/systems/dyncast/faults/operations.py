"""What Dyncast's faults do: instances started and told to drain, control processes started again, and who knows of it.

Owns the ways to reach into a run: through processes, the admin ports of instances, and the sockets at which D-Routers
are looked into.
"""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, Protocol

from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.netns import namespaces
from testbed.experiment.faults.operations import Operations, TestbedOperations
from testbed.experiment.systems.dyncast.keys.service import ADMIN_PORT

if TYPE_CHECKING:
    from testbed.experiment.systems.dyncast.launch.running import RunningDyncast

_ADMIN_TIMEOUT_S = 2.0


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
            status, _ = self._ask(instance, "PUT", f"/state/{state}")
        except (OSError, http.client.HTTPException) as error:
            return f"{instance} did not answer: {error}"
        return "" if status == http.HTTPStatus.OK else f"{instance} answered {status}"

    def router_without(self, instance: str) -> str:
        """Return a D-Router that would assign no flow to the instance yet; empty: all would."""
        d_bid = next(item.d_bid for item in self._plan.instances if item.name == instance)
        return next((site for site in self._plan.sites if not self._would_assign_flows(site, d_bid)), "")

    def activity(self, instance: str) -> Activity | None:
        """Ask an instance what it has to do; None if it does not answer."""
        try:
            _, body = self._ask(instance, "GET", "/metrics")
            told = json.loads(body)
            return Activity(int(told["sessions"]), int(told["sessions_started"]))
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def _would_assign_flows(self, site: str, d_bid: str) -> bool:
        try:
            if any(row["usable"] and row["d_bid"] == d_bid for row in self._dyncast.inspect(site, "bindings")):
                return True
            # One to which a controller sends shares of flows knows no more of it.
            return any(row["d_bid"] == d_bid for row in self._dyncast.inspect(site, "weights"))
        except InspectionError:
            return False

    def _ask(self, instance: str, method: str, path: str) -> tuple[int, bytes]:
        item = next(item for item in self._plan.instances if item.name == instance)
        address = str(self._plan.addresses.host(item.host).ipv4.ip)
        connection = http.client.HTTPConnection(address, ADMIN_PORT)
        pid = self._testbed.network.pid(item.host)
        with closing(namespaces.socket_in(pid, socket.AF_INET, socket.SOCK_STREAM)) as opened:
            opened.settimeout(_ADMIN_TIMEOUT_S)
            opened.connect((address, ADMIN_PORT))
            connection.sock = opened
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
