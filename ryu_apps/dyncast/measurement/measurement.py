"""What a D-Router measures besides its messages: the counters of its ports, and probes that come back.

Owns the two descriptors that the starter opened inside the D-Router's namespace for it. A process that was given
neither measures neither, and so does a CFN Dispatcher. What it measured is reported, if the process has to.
"""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Callable

from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.dyncast.measurement import icmp_unreachable
from ryu_apps.dyncast.measurement.alto_reports import AltoReports
from ryu_apps.dyncast.measurement.port_readings import Ports
from ryu_apps.openflow.inherited_sockets import inherited
from testbed.dyncast.nodes.d_router import DRouter
from testbed.dyncast.nodes.dispatcher import Dispatcher
from testbed.records.writer import RecordWriter
from testbed.runtime.message_errors import MessageErrors


class Measuring:
    """Read ports when it is time, receive what comes back always (`loops`) and say so (`on_input`)."""

    def __init__(
        self,
        settings: ControlConfig,
        core: DRouter | Dispatcher,
        records: RecordWriter,
        logger: logging.Logger,
        on_input: Callable[[], None],
        errors: MessageErrors,
        in_band: socket.socket,
        count: Callable[[str, str, str, int], None],
    ) -> None:
        self._on_input = on_input
        self._errors = errors
        self.loops: list[Callable[[], None]] = []
        self._ports: Ports | None = None
        self._reports: AltoReports | None = None
        if not isinstance(core, DRouter):
            return
        if settings.ports is not None:
            netlink = inherited(settings.ports.netlink_fd, "ports.netlink_fd", socket.SOCK_RAW)
            self._ports = Ports(settings.ports, netlink, core, settings.site, records, logger)
        if settings.alto is not None:
            of = settings.alto, settings.site, core, settings.probe_interval_s
            self._reports = AltoReports(*of, time.monotonic(), in_band, count)
        if settings.icmp_fd is not None:
            self._d_router = core
            self._probe_port = settings.in_band_port if settings.deferrable is None else settings.deferrable.port
            self._icmp = inherited(settings.icmp_fd, "icmp_fd", socket.SOCK_RAW)
            icmp_unreachable.receive_only_unreachable(self._icmp)
            self.loops.append(self._receive)

    def next_timer_s(self) -> float:
        """Return when ports are read or reported next."""
        return min((part.next_timer_s() for part in (self._ports, self._reports) if part), default=math.inf)

    @property
    def early_s(self) -> float:
        """How much sooner they may be read."""
        return 0.0 if self._ports is None else self._ports.early_s

    def on_timer(self, now_s: float) -> None:
        """Read the ports, and report, if it is time."""
        for part in (self._ports, self._reports):
            if part is not None:
                part.on_timer(now_s)

    def _receive(self) -> None:
        while True:
            packet = icmp_unreachable.receive(self._icmp)
            try:
                returned = icmp_unreachable.parse(packet, self._probe_port)
                if returned is not None:
                    self._d_router.on_returned(returned.data, returned.to, time.monotonic())
                    self._on_input()
            except Exception as error:
                self._errors.note("icmp", error)
