"""What reads octets that others wrote, and good octets to begin with.

Each refuses what it cannot use in the way that its documentation says, and raises nothing else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from struct import pack

import dns.message

from ryu_apps.dyncast.inspection.answers import Inspection
from ryu_apps.dyncast.inspection.socket_server import RequestError
from ryu_apps.dyncast.measurement import icmp_unreachable
from ryu_apps.openflow.packet_in import PacketIn
from ryu_apps.openflow.packets import icmp_errors, packet_headers, rewriting
from ryu_apps.openflow.packets.fragments import Fragments
from testbed import json_documents
from testbed.agents.command_instance import json_metrics
from testbed.agents.command_instance.json_metrics import Pointer, UnreadableFigures
from testbed.agents.host import flow_tap
from testbed.agents.http import client
from testbed.agents.http.client import BadAnswer
from testbed.agents.http.protocol import HttpError, RequestParser
from testbed.agents.instance.rtp_streams import RtpStreams
from testbed.agents.metric_agent import metrics_client
from testbed.agents.name_server.dns_zone import NamedService, Zone
from testbed.alto import media_types
from testbed.alto.client import answers
from testbed.alto.client.answer_errors import AltoAnswerError
from testbed.alto.client.directory_walk import DirectoryWalk
from testbed.alto.service.exchange import Answer, Request
from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import Refused
from testbed.dyncast.messages.codec import CodecError, Message
from testbed.dyncast.messages.control_messages import (
    AssignedFlows,
    IngressStatus,
    Load,
    Loads,
    Share,
    Shares,
    loads_parts,
    shares_parts,
    status_parts,
)
from testbed.dyncast.messages.control_messages import (
    Path as MeasuredPath,
)
from testbed.dyncast.messages.dispatch_messages import Assignment, Cause, Withdrawal, Withdrawn
from testbed.dyncast.messages.reports import Probe, Report
from testbed.dyncast.messages.service_offer import ServiceOffer
from testbed.dyncast.metrics.levels import RawMetrics, State
from testbed.rtp import header as rtp_header
from testbed.rtp import rtcp
from testbed.runtime.config import ConfigError
from tests import alto_samples
from tests.authentication_samples import AGENT_HERE, ROUTER_HERE, ROUTER_THERE, node, signed_probe, signed_report
from tests.dyncast_samples import CLIENT, D_SID, D_SID6, FAR, FAR6, HERE, NEAR, THERE, d_router, flow, informed, told
from tests.fuzz import alto_report_inputs, alto_update_parsers, delivery_inputs, faas_inputs, trace_inputs
from tests.process_configs import PROCESSES
from traffic.content.http_response import MalformedResponseError, Response
from traffic.loads import tool_parsers

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Parser:
    """Takes octets; raises nothing. `seeds` are good ones."""

    take: Callable[[bytes], None]
    seeds: Sequence[bytes]


# -- messages ----------------------------------------------------------------------------------------

_RAW = RawMetrics(4, 3, 2, 50, 5, 9, 0.75, 0.05, 0.5, 1 << 20, 1 << 30, 80.0, 1e6)
_OFFER = ServiceOffer("render", ("src", "dst", "proto"), 4, 30)
MESSAGES: tuple[Message, ...] = (
    Probe(HERE, 7, 99.5),
    Probe(HERE, 7, 99.5, is_reply=True, held_s=0.25),
    Probe(HERE, 7, 99.5, is_reply=True, held_s=0.25, asked_s=99.75),
    Report(HERE, 7, 99.5, (told(NEAR, _RAW), told(FAR6, None), told(FAR, RawMetrics(1)))),
    Report(HERE, 7, 99.5, (told(NEAR, _RAW).__class__(D_SID, NEAR, State.DRAINING, _RAW, offer=_OFFER),)),
    IngressStatus(HERE, 7, 99.5, (MeasuredPath(THERE, 20.0, 0.02, 0.001),), (AssignedFlows(D_SID, FAR, 9),)),
    Shares(THERE, 7, 99.5, (Share(D_SID, NEAR, HERE, State(1), 7500, 98.0), Share(D_SID6, FAR6, "", State(0), 0, 9.0))),
    Shares(THERE, 7, 99.5, (Share(D_SID, FAR, THERE, State.UP, 2500, 98.0),), 1, 2),
    Loads(HERE, 7, 99.5, (Load(D_SID, NEAR, 99.0, _RAW),), by_agent=True),
    Loads(THERE, 7, 99.5, (Load(D_SID6, FAR6, 99.0, _RAW),)),
    Assignment(HERE, 7, 99.5, flow(), NEAR, HERE, 30),
    Assignment(HERE, 7, 99.5, flow()._replace(src_port=None), None, "", 30),
    Withdrawal(HERE, 7, 99.5, (Withdrawn(D_SID, NEAR, Cause.DIED), Withdrawn(D_SID6, FAR6, Cause.UNREACHABLE))),
)  # fmt: skip


def _message(data: bytes) -> None:
    with suppress(CodecError):
        message = codec.decode(data)
        for part in _parts(message):  # figures that were left out are written, and need room
            again = codec.decode(codec.encode(part))
            assert type(again) is type(message)


def _parts(message: Message) -> Sequence[Message]:
    of = message.site, message.sequence, message.sent_s
    if isinstance(message, Report):
        return codec.split(message, message.sequence)
    if isinstance(message, IngressStatus):
        return status_parts(*of, message.paths, message.assigned)
    if isinstance(message, Shares):
        return shares_parts(*of, message.shares)
    if isinstance(message, Loads):
        return loads_parts(*of, message.loads, message.by_agent)
    return [message]


def _signed(data: bytes) -> None:
    with suppress(Refused):
        node(ROUTER_HERE).verify(data)


# -- HTTP, JSON --------------------------------------------------------------------------------------

_METRICS = {
    "state": "up", "workers": 4, "busy_workers": 3, "queue_length": 0, "queue_limit": 50, "sessions": 3,
    "sessions_started": 9, "utilisation": 0.75, "service_time_ms": 48.2, "cpu_utilisation": 0.05,
    "memory_bytes": 14_100_000, "memory_limit_bytes": 0, "capacity_per_s": 82.9, "throughput_bps": 1.5e6,
}  # fmt: skip
_DOCUMENT = json.dumps({"queue": {"length": 3}, "workers": [{"busy": 1}, {"busy": 0.5}]}).encode()
_POINTERS = {"queue_length": Pointer("/queue/length"), "busy_workers": Pointer("/workers/1/busy", 1e9)}


def _answer(body: bytes, framing: bytes = b"Content-Length: %d") -> bytes:
    head = framing % len(body) if b"%" in framing else framing
    return b"HTTP/1.1 200 OK\r\n" + head + b"\r\nX-Dyncast-Instance: render-1\r\n\r\n" + body


def _chunked(body: bytes) -> bytes:
    return _answer(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), b"Transfer-Encoding: chunked")


def _application(data: bytes) -> None:
    with suppress(BadAnswer, UnreadableFigures):
        figures = json_metrics.read(json_metrics.document(client.parse(data)), _POINTERS)
        assert all(0 <= int(figure) <= 2**53 for figure in figures.values())


def _metrics(data: bytes) -> None:
    with suppress(metrics_client.MalformedAnswer):
        raw = metrics_client.read_answer(data).raw
        codec.decode(codec.encode(Report(HERE, 1, 1.0, (told(NEAR, raw),))))  # scored, written and read


def _requests(data: bytes) -> None:
    parser = RequestParser()
    with suppress(HttpError):
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            parser.feed(part)
            while parser.next_request() is not None:
                pass


def _load_answer(data: bytes) -> None:
    response = Response()
    with suppress(MalformedResponseError):
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            response.feed(part)


_ALTO = alto_samples.service(capabilities={**alto_samples.OFFERED, "max-cost-types": 2})
_ALTO_TYPE = {"cost-mode": "numerical", "cost-metric": "routingcost"}
_ALTO_HERE = {"srcs": ["ipv4:192.0.2.2"], "dsts": ["ipv4:192.0.2.89", "ipv6:2001:db8::1"]}
_ALTO_REQUESTS: Sequence[Mapping[str, object]] = (
    {"pids": ["PID1", "PID3"], "address-types": ["ipv6"]},
    {"cost-type": _ALTO_TYPE, "constraints": ["ge 1", "lt 1e2"], "pids": {"srcs": ["PID1"], "dsts": []}},
    {"multi-cost-types": [_ALTO_TYPE], "or-constraints": [["[0] eq 1"], ["gt 5"]]},
    {"properties": ["my-default-network-map.pid"], "endpoints": ["ipv4:192.0.2.34"]},
    {"cost-type": {**_ALTO_TYPE, "cost-mode": "ordinal"}, "endpoints": _ALTO_HERE},
)
_ALTO_ANSWERS = [
    _ALTO.answer(Request("GET", path)).body
    for path in ("/directory", "/maps", "/networkmap", "/costmap/num/routingcost", "/ord/routingcost")
] + [alto_samples.post(_ALTO, "/endpointcost/lookup", _ALTO_REQUESTS[4]).body, b'{"meta": {"code": "E_SYNTAX"}}']
_ALTO_READERS: Mapping[str, Callable[[str, Answer], object]] = {
    media_types.NETWORK_MAP: answers.network_map,
    media_types.COST_MAP: answers.cost_map,
    media_types.ENDPOINT_COSTS: answers.endpoint_costs,
    media_types.ENDPOINT_PROPERTIES: answers.endpoint_properties,
    media_types.PROPERTY_MAP: answers.property_map,
    media_types.ERROR: answers.cost_map,
}


def _alto_request(data: bytes) -> None:
    for path in alto_samples.PARAMETERS:
        answer = alto_samples.post(_ALTO, path, data)
        said = json.loads(answer.body)
        assert (answer.status == 200) == ("code" not in said["meta"])
        assert answer.status in (200, 400)


def _alto_answer(data: bytes) -> None:
    """As a client does, whatever kind of answer it waits for."""
    for media_type, read in _ALTO_READERS.items():
        with suppress(AltoAnswerError):
            read("http://x/", Answer(200, {"Content-Type": media_type}, data))


def _alto_directory(data: bytes) -> None:
    walk = DirectoryWalk("http://alto.example.com/directory", most_directories=5)
    with suppress(AltoAnswerError):
        while walk.next_request() is not None:
            walk.take(Answer(200, {"Content-Type": media_types.DIRECTORY}, data))


_INSPECTED = informed(d_router(), 100.0)
_INSPECTION = Inspection(_INSPECTED, list, lambda _: None, lambda: True)


def _inspection(data: bytes) -> None:
    with suppress(RequestError, ValueError):
        request = json_documents.parse(data)
        if isinstance(request, dict):
            json.dumps(_INSPECTION.answer(request))


def _configurations() -> Mapping[str, Sequence[bytes]]:
    """The documents of docs/processes.md, by the process that takes each."""
    text = (ROOT / "docs/processes.md").read_text(encoding="utf-8")
    blocks = [block.encode() for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    return {name: [block for block in blocks if _is_taken(name, block)] for name in PROCESSES}


def _is_taken(name: str, block: bytes) -> bool:
    try:
        PROCESSES[name].from_document(json_documents.parse(block))
    except (ConfigError, ValueError):
        return False
    return True


def _configuration(name: str) -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        try:
            document = json_documents.parse(data)
        except ValueError:
            return
        with suppress(ConfigError):
            PROCESSES[name].from_document(document)

    return take


# -- DNS, packets ------------------------------------------------------------------------------------

_SERVICES = (NamedService("render", D_SID, "d_sid"), NamedService("steered", D_SID, "d_bid"))
_ZONE = Zone(
    "edge.example", [ip_address("172.31.0.3")], _SERVICES, ttl_s=30, steered_ttl_s=7, choose=lambda _, __: NEAR
)
_QUESTIONS = (
    ("render.edge.example.", "A"), ("steered.edge.example.", "A"), ("edge.example.", "SOA"), ("other.", "TXT"),
    ("ns.edge.example.", "AAAA"), ("_x._udp.edge.example.", "SRV"),
)  # fmt: skip


def _dns(data: bytes) -> None:
    response = _ZONE.respond(data, CLIENT)
    if response is not None:
        dns.message.from_wire(response)


def _ethernet(kind: int, packet: bytes, tag: bytes = b"") -> bytes:
    return bytes(12) + tag + pack("!H", kind) + packet


def _ipv4(proto: int, payload: bytes, fragment: int = 0) -> bytes:
    head = pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, proto, 0)
    return head + CLIENT.packed + D_SID.packed + payload


def _ipv6(proto: int, payload: bytes) -> bytes:
    return pack("!IHBB", 6 << 28, len(payload), proto, 64) + FAR6.packed + D_SID6.packed + payload


_UDP = pack("!HHHH", 40000, 7000, 13, 0) + b"probe"
_TCP = pack("!HHIIBBHHH", 40000, 80, 1, 0, 0x50, 0x02, 1024, 0, 0)
_EXTENDED = pack("!BB6x", 43, 0) + pack("!BB6x", 44, 0) + pack("!BxHI", 17, 0, 7) + _UDP
_UNREACHABLE = pack("!BBHI", 3, 3, 0, 0) + _ipv4(17, _UDP)
_FRAGMENTS = (_ethernet(0x0800, _ipv4(17, _UDP[:8], 0x2000)), _ethernet(0x0800, _ipv4(17, _UDP[8:], 1)))
_PACKETS = (
    *_FRAGMENTS,
    _ethernet(0x0800, _ipv4(17, _UDP)), _ethernet(0x0800, _ipv4(6, _TCP)), _ethernet(0x0800, _ipv4(1, _UNREACHABLE)),
    _ethernet(0x0800, _ipv4(17, _UDP, 0x2001)), _ethernet(0x86DD, _ipv6(17, _UDP)),
    _ethernet(0x86DD, _ipv6(0, _EXTENDED)), _ethernet(0x86DD, _ipv6(58, bytes((2, 0, 0, 0)) + _ipv6(17, _UDP))),
    _ethernet(0x0800, _ipv4(17, _UDP), tag=pack("!HH", 0x8100, 7)),
)  # fmt: skip


def _packet(data: bytes) -> None:
    packet_headers.flow_key(data)
    quoted = icmp_errors.quoted_flow(data)
    if quoted is not None:
        other = ip_address(1) if quoted.dst.version == 4 else ip_address(1 << 64)
        assert len(rewriting.error_readdressed(data, dst=other, quoted_src=other)) == len(data)
    fragments = Fragments(Counter())
    for packet in (data, *_FRAGMENTS, data):
        for _, part in fragments.take(PacketIn(1, packet), 1.0):
            assert len(rewriting.readdressed(part.data, src=None)) == len(part.data)
    icmp_unreachable.parse(data[14:], 7000)
    for is_ipv6 in (True, False):
        for protocol in ("tcp", "udp"):
            flow_tap.flow_of(data[14:], 1.0, is_ipv6, protocol)


# -- RTP ---------------------------------------------------------------------------------------------

_RTP = pack("!BBHII", 0x80, 0, 7, 160, 99) + bytes(160)
_STAMPED = pack("!BBHIIHHQ", 0x90, 0x80, 8, 320, 99, 0xDCA5, 2, 10**9) + bytes(160)
_RTCP = rtcp.sender_report(rtcp.SenderInfo(99, 160, 10, 1600), 1.7e9, "call-1", is_last=True)


def _rtp(data: bytes) -> None:
    """As a service instance does, each stream after a good packet of it."""
    streams = RtpStreams("render-1")
    for number, packet in enumerate((_RTP, data, _STAMPED, data)):
        header = rtp_header.parse(packet)
        if header is not None:
            streams.receive(header, str(CLIENT), 5004, 100.0 + number, len(packet))
        compound = rtcp.parse(packet)
        blocks = None if compound is None else streams.control(compound, str(CLIENT), 100.0 + number)
        if blocks is not None:
            assert rtcp.parse(rtcp.receiver_report(7, "render-1", blocks)) is not None
    streams.all_rows()


# -- tools -------------------------------------------------------------------------------------------

_WRK = b"""\
Running 6s test @ http://203.0.113.10/
    Latency    14.61ms   13.25ms  61.73ms   42.11%
  Latency Distribution
     50%    9.34ms
     99%   52.47ms
  10213 requests in 6.00s, 1.43MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:   1701.72
"""
_SUM = {"bytes": 10, "bits_per_second": 9.5, "retransmits": 0, "jitter_ms": 0.1, "lost_percent": 1.5}
_END = {"sum_sent": _SUM, "sum_received": _SUM, "sum": _SUM}
_IPERF3 = json.dumps({"start": {"test_start": {"reverse": 1}}, "end": _END})
_EVENTS = '{"event": "start", "data": {}}\n{"event": "end", "data": {"sum": {"bytes": 1}}}\n{"error": "x"}'


def _tool(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for program in ("wrk", "iperf3"):
        json.dumps(tool_parsers.report(program, text).figures, allow_nan=False)


_ANSWERS = (_answer(_DOCUMENT), _chunked(_DOCUMENT), _answer(_DOCUMENT, b"Connection: close"))
_REQUESTS = (
    b"GET /?work_ms=5 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nwell\r\n0\r\nX: y\r\n\r\n",
    b"PUT /state/up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nwell",
)
PARSERS: Mapping[str, Parser] = {
    "messages": Parser(_message, [codec.encode(message) for message in MESSAGES]),
    "signed messages": Parser(
        _signed,
        [
            signed_report(node(AGENT_HERE), HERE, 1, 99.5, told(NEAR, _RAW)),
            signed_probe(node(ROUTER_THERE), Probe(THERE, 1, 99.5)),
        ],
    ),
    "HTTP answers of applications": Parser(_application, _ANSWERS),
    "HTTP answers of instances": Parser(_metrics, [_answer(json.dumps(_METRICS).encode())]),
    "HTTP answers to a load": Parser(_load_answer, _ANSWERS),
    "HTTP requests": Parser(_requests, _REQUESTS),
    "DNS": Parser(_dns, [dns.message.make_query(*question, use_edns=True).to_wire() for question in _QUESTIONS]),
    "packets": Parser(_packet, _PACKETS),
    "RTP and RTCP": Parser(_rtp, [_RTP, _STAMPED, _RTCP, rtcp.receiver_report(7, "x", [])]),
    "output of tools": Parser(_tool, [_WRK, _IPERF3.encode(), _EVENTS.encode()]),
    "ALTO requests": Parser(_alto_request, [json.dumps(request).encode() for request in _ALTO_REQUESTS]),
    "ALTO answers": Parser(_alto_answer, _ALTO_ANSWERS),
    "ALTO directories": Parser(_alto_directory, _ALTO_ANSWERS[:2]),
    "requests for inspection": Parser(
        _inspection,
        [b'{"section": "bindings", "start": 0}', b'{"section": "flows"}', b'{"reset": true, "service": "render"}'],
    ),
    "streams of ALTO updates": Parser(alto_update_parsers.stream, alto_update_parsers.SEEDS["stream"]),
    "server-sent events": Parser(alto_update_parsers.decoder, alto_update_parsers.SEEDS["stream"]),
    "merge patches": Parser(alto_update_parsers.patch, alto_update_parsers.SEEDS["patch"]),
    "requests for ALTO updates": Parser(alto_update_parsers.request, alto_update_parsers.SEEDS["request"]),
    "reports to an ALTO server": Parser(alto_report_inputs.report, alto_report_inputs.SEEDS),
    "actions of a cluster": Parser(faas_inputs.body, faas_inputs.BODIES),
    "archives of functions": Parser(faas_inputs.archived, faas_inputs.ARCHIVES),
    "manifests of functions": Parser(delivery_inputs.manifest, delivery_inputs.MANIFESTS),
    "layers of functions": Parser(delivery_inputs.layer, delivery_inputs.LAYERS),
    "requests to a cluster": Parser(faas_inputs.request, faas_inputs.REQUESTS),
    "answers of containers": Parser(faas_inputs.answer, faas_inputs.ANSWERS),
    "traces of invocations": Parser(trace_inputs.trace, trace_inputs.TRACES),
    "durations of functions": Parser(trace_inputs.durations, trace_inputs.DURATIONS),
    **{
        f"configuration: {name}": Parser(_configuration(name), seeds)
        for name, seeds in _configurations().items()
        if seeds
    },
}
