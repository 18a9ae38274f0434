"""What faults and events do to a testbed that is up: processes ended and started, instances told, links cut.

Owns the ways to reach into a run: through processes, the admin ports of instances, and the sockets at which D-Routers
are looked into. When what is done is `injector`'s business.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
from contextlib import closing
from typing import NamedTuple, Protocol

from testbed.emulation.inspection.client import InspectionError
from testbed.emulation.netns import namespaces
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.service_keys import ADMIN_PORT

_ADMIN_TIMEOUT_S = 2.0


class Activity(NamedTuple):
    """What an instance has to do: sessions there are, and all that began."""

    sessions: int
    started: int


class Hands(Protocol):
    """What faults do. Each deed returns a remark if there was nothing to do."""

    def kill(self, process: str) -> str:
        """Kill a process."""

    def dismiss(self, process: str) -> str:
        """Have a process end in good order."""

    def start_instance(self, name: str) -> str:
        """Start an instance."""

    def start_control(self, site: str) -> str:
        """Start the control process of a D-Router."""

    def signal(self, process: str, number: signal.Signals) -> str:
        """Send a signal."""

    def set_state(self, instance: str, state: str) -> str:
        """Have an instance say that it is up or draining."""

    def cut(self, a: str, b: str) -> str:
        """Have a link lose everything."""

    def mend(self, a: str, b: str) -> str:
        """Undo a cut."""

    def is_running(self, process: str) -> bool:
        """Tell whether a process runs and was not told to end."""

    def who_lacks(self, instance: str) -> str:
        """Return a D-Router that would give the instance no flow yet; empty: all would."""

    def activity(self, instance: str) -> Activity | None:
        """Ask an instance what it has to do; None if it does not answer."""


class TestbedHands:
    """The hands of a run."""

    __test__ = False  # no test class, whatever pytest makes of the name

    def __init__(self, plan: Plan, testbed: Testbed) -> None:
        self._plan = plan
        self._testbed = testbed
        self._processes = testbed.processes
        self._halted: set[str] = set()

    def kill(self, process: str) -> str:
        """Kill a process."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.kill(process)
        return ""

    def dismiss(self, process: str) -> str:
        """Have a process end in good order."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.dismiss(process)
        return ""

    def start_instance(self, name: str) -> str:
        """Start an instance."""
        if self._processes.is_running(name):
            return f"{name} ran already"
        self._testbed.start_instance(name)
        return ""

    def start_control(self, site: str) -> str:
        """Start the control process of a D-Router."""
        if self._processes.is_running(f"control@{site}"):
            return f"control@{site} ran already"
        self._testbed.start_control(site)
        return ""

    def signal(self, process: str, number: signal.Signals) -> str:
        """Send a signal."""
        if not self._processes.is_running(process):
            return f"{process} did not run"
        self._processes.signal(process, number)
        (self._halted.add if number is signal.SIGSTOP else self._halted.discard)(process)
        return ""

    def release(self) -> None:
        """Have processes that are halted go on, for a halted one cannot end."""
        for process in self._halted:
            self._processes.signal(process, signal.SIGCONT)
        self._halted.clear()

    def set_state(self, instance: str, state: str) -> str:
        """Have an instance say that it is up or draining."""
        if not self._processes.is_running(instance):
            return f"{instance} did not run"
        try:
            status, _ = self._ask(instance, "PUT", f"/state/{state}")
        except (OSError, http.client.HTTPException) as error:
            return f"{instance} did not answer: {error}"
        return "" if status == http.HTTPStatus.OK else f"{instance} answered {status}"

    def cut(self, a: str, b: str) -> str:
        """Have a link lose everything."""
        self._testbed.network.cut(a, b)
        return ""

    def mend(self, a: str, b: str) -> str:
        """Undo a cut."""
        self._testbed.network.mend(a, b)
        return ""

    def is_running(self, process: str) -> bool:
        """Tell whether a process runs and was not told to end."""
        return self._processes.is_running(process)

    def who_lacks(self, instance: str) -> str:
        """Return a D-Router that would give the instance no flow yet; empty: all would."""
        d_bid = next(item.d_bid for item in self._plan.instances if item.name == instance)
        return next((site for site in self._plan.sites if not self._would_give_flows(site, d_bid)), "")

    def activity(self, instance: str) -> Activity | None:
        """Ask an instance what it has to do; None if it does not answer."""
        try:
            _, body = self._ask(instance, "GET", "/metrics")
            told = json.loads(body)
            return Activity(int(told["sessions"]), int(told["sessions_started"]))
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def _would_give_flows(self, site: str, d_bid: str) -> bool:
        try:
            if any(row["usable"] and row["d_bid"] == d_bid for row in self._testbed.inspect(site, "bindings")):
                return True
            # One that is told by a controller whom to give flows knows no more of it.
            return any(row["d_bid"] == d_bid for row in self._testbed.inspect(site, "weights"))
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
