"""The RTP service of an instance: each packet takes a worker for a moment, then goes back to its sender.

Owns the two sockets (RTP, and RTCP one port above) and the counters of what was dropped. An echo is the
packet unchanged, sent at the time its work is done. RTCP on the RTP port (RFC 5761) is understood too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from testbed.agents.host.datagrams import Datagram, DatagramSocket
from testbed.agents.host.flow_ledger import FlowKey, FlowLedger
from testbed.agents.instance.processor import Processor
from testbed.agents.instance.rtp_streams import RtpStreams
from testbed.queueing.work_queue import Accepted
from testbed.rtp import header as rtp_header
from testbed.rtp import rtcp
from testbed.runtime.message_errors import MessageErrors

_BATCH = 64  # datagrams per turn of the loop, so that timers are not held up by a burst


class RtpService:
    """Echo RTP on `port`, answer RTCP on `port` + 1. Raises ProcessFailure if a port is taken."""

    def __init__(
        self,
        name: str,
        ssrc: int,
        port: int,
        processor: Processor,
        draw_work_s: Callable[[], float],
        flows: FlowLedger,
        errors: MessageErrors,
    ) -> None:
        self._name = name
        self._ssrc = ssrc
        self._processor = processor
        self._draw_work_s = draw_work_s
        self._flows = flows
        self._errors = errors
        self.streams = RtpStreams(name)
        self.malformed = 0  # datagrams that were neither RTP nor RTCP
        self._loop = asyncio.get_running_loop()
        self._media = DatagramSocket(port, "rtp_port")
        try:
            self._control = DatagramSocket(port + 1, "the RTCP port (rtp_port + 1)")
        except Exception:
            self._media.close()
            raise
        self._loop.add_reader(self._media.fileno(), self._read, self._media, self._take_media)
        self._loop.add_reader(self._control.fileno(), self._read, self._control, self._take_control)

    @property
    def unsent(self) -> int:
        """How many echoes and reports the kernel did not take."""
        return self._media.unsent + self._control.unsent

    def close(self) -> None:
        """Close both sockets."""
        for datagrams in (self._media, self._control):
            self._loop.remove_reader(datagrams.fileno())
            datagrams.close()

    def _read(self, datagrams: DatagramSocket, take: Callable[[Datagram, float], None]) -> None:
        for _ in range(_BATCH):
            datagram = datagrams.receive()
            if datagram is None:
                return
            now_s = self._loop.time()
            key = FlowKey("udp", datagram.src, datagram.src_port, datagram.dst, datagrams.port)
            self._flows.packet(key, now_s, len(datagram.data))
            try:
                take(datagram, now_s)
            except Exception as error:
                self._errors.note("rtp", error)

    def _take_media(self, datagram: Datagram, now_s: float) -> None:
        data = datagram.data
        header = rtp_header.parse(data)
        if header is None:
            if len(data) >= 2 and data[1] in rtcp.PACKET_TYPES:
                self._answer_control(self._media, datagram, now_s)
            else:
                self.malformed += 1
            return
        self.streams.receive(header, datagram.src, datagram.src_port, now_s, len(data))

        def echo(_: Accepted) -> None:
            self._media.reply(datagram, data)

        self._processor.submit(self._draw_work_s(), echo)  # refused: the packet is lost, and counted there

    def _take_control(self, datagram: Datagram, now_s: float) -> None:
        self._answer_control(self._control, datagram, now_s)

    def _answer_control(self, datagrams: DatagramSocket, datagram: Datagram, now_s: float) -> None:
        compound = rtcp.parse(datagram.data)
        if compound is None:
            self.malformed += 1
            return
        blocks = self.streams.control(compound, datagram.src, now_s)
        if blocks is not None:
            datagrams.reply(datagram, rtcp.receiver_report(self._ssrc, self._name, blocks))
