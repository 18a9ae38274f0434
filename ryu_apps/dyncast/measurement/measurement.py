"""What a D-Router measures besides its messages: the counters of its ports, and probes that come back.

Owns the two descriptors that the starter opened inside the D-Router's namespace for it. A process that was given
neither measures neither, and so does a CFN Dispatcher.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.measurement import icmp_unreachable
from ryu_apps.dyncast.measurement.port_readings import Ports
from ryu_apps.dyncast.measurement.probe_socket import ProbeSocket
from ryu_apps.openflow.inherited_sockets import inherited
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.records.writer import RecordWriter


class Measuring:
    """Read ports when it is time, hear what comes back always (`loops`) and say so (`on_input`)."""

    def __init__(
        self,
        settings: ControlConfig,
        core: DRouter | Dispatcher,
        records: RecordWriter,
        logger: logging.Logger,
        on_input: Callable[[], None],
    ) -> None:
        self._on_input = on_input
        self.loops: list[Callable[[], None]] = []
        self._ports: Ports | None = None
        self.probes = None if settings.probes is None else ProbeSocket(settings.probes)
        if not isinstance(core, DRouter):
            return
        if settings.ports is not None:
            netlink = inherited(settings.ports.netlink_fd, "ports.netlink_fd", socket.SOCK_RAW)
            self._ports = Ports(settings.ports, netlink, core, settings.site, records, logger)
        if settings.icmp_fd is not None:
            self._d_router = core
            self._probe_port = settings.in_band_port if settings.probes is None else settings.probes.port
            self._icmp = inherited(settings.icmp_fd, "icmp_fd", socket.SOCK_RAW)
            icmp_unreachable.receive_only_unreachable(self._icmp)
            self.loops.append(self._receive)

    def next_timer_s(self) -> float:
        """Return when ports are read next."""
        return math.inf if self._ports is None else self._ports.next_timer_s()

    def on_timer(self, now_s: float) -> None:
        """Read the ports, if it is time."""
        if self._ports is not None:
            self._ports.on_timer(now_s)

    def _receive(self) -> None:
        while True:
            returned = icmp_unreachable.receive(self._icmp, self._probe_port)
            if returned is not None:
                self._d_router.on_returned(returned.data, returned.to, time.monotonic())
                self._on_input()
