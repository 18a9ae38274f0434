"""What load tools print at their end, as they print it: which figures are measured, and by which end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.loads.tool_parsers import Figures, ToolReport, report

WRK = """\
Running 6s test @ http://203.0.113.10/
  1 threads and 24 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    14.61ms   13.25ms  61.73ms   42.11%
    Req/Sec     1.70k   120.21     1.95k    68.33%
  Latency Distribution
     50%    2.12ms
     75%   28.20ms
     90%   29.05ms
     99%    1.20s
  10157 requests in 6.01s, 1.95MB read
  Socket errors: connect 0, read 3, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:   1690.24
Transfer/sec:    331.79KB
"""


def test_wrk_is_read() -> None:
    assert report("/usr/bin/wrk", WRK).figures == {
        "requests": 10157, "requests_per_s": 1690.24, "latency_mean_ms": 14.61, "latency_p50_ms": 2.12,
        "latency_p75_ms": 28.2, "latency_p90_ms": 29.05, "latency_p99_ms": 1200.0, "socket_errors": 5, "bad_answers": 7,
    }  # fmt: skip


def test_wrk_without_an_answer_has_no_latency() -> None:
    """It prints 0.00us then."""
    nothing = WRK.replace("10157 requests", "0 requests").replace("1690.24", "0.00")
    assert report("wrk", nothing).figures == {
        "requests": 0, "requests_per_s": 0.0, "socket_errors": 5, "bad_answers": 7
    }  # fmt: skip


# A link of 2 Mbit/s at which UDP was sent at 8 Mbit/s, as iperf 3.12 has it.
SENT = {"bytes": 1999688, "bits_per_second": 8e6, "jitter_ms": 0, "lost_packets": 0, "packets": 1381,
        "lost_percent": 0, "sender": True}  # fmt: skip
RECEIVED = {"bytes": 532864, "bits_per_second": 2e6, "jitter_ms": 0.5, "lost_packets": 1011, "packets": 1379,
            "lost_percent": 73.2, "sender": False}  # fmt: skip
NOT_RECEIVED = {**RECEIVED, "bytes": 0, "bits_per_second": 0, "jitter_ms": 0, "lost_packets": 0, "lost_percent": 0}
SUM = {**RECEIVED, "bytes": SENT["bytes"], "bits_per_second": 8e6, "sender": True}
FIGURES = {"bits_per_s": 2e6, "bytes": 532864, "jitter_ms": 0.5, "lost_percent": 73.2, "sent_bits_per_s": 8e6,
           "sent_bytes": 1999688}  # fmt: skip
ONLY_SENT = {"sent_bits_per_s": 8e6, "sent_bytes": 1999688}
INTERRUPTED = "interrupt - the client has terminated"


def run_of(
    total: dict[str, Any], sent: dict[str, Any], received: dict[str, Any], reverse: int = 0, **more: object
) -> dict[str, Any]:
    stream = {"udp": {"socket": 5, "start": 0, "end": 2.0, **SENT}}
    interval = {"streams": [{"socket": 5, "start": 0, "end": 1.0, **SENT}], "sum": SENT}
    end = {"streams": [stream], "sum": total, "sum_sent": sent, "sum_received": received}
    start = {"version": "iperf 3.12", "test_start": {"protocol": "UDP", "reverse": reverse}}
    return {"start": start, "intervals": [interval, interval], "end": end, **more}


UDP = run_of(SUM, SENT, RECEIVED)
OLD_UDP = {"start": {}, "end": {"sum": SUM}}
TCP = {"end": {"sum_sent": {"retransmits": 4, "bytes": 10, "bits_per_second": 80.0},
               "sum_received": {"bytes": 9, "bits_per_second": 72.0}}}  # fmt: skip


@pytest.mark.parametrize(
    ("document", "figures", "error"),
    [
        (UDP, FIGURES, ""),
        (OLD_UDP, {"jitter_ms": 0.5, "lost_percent": 73.2, **ONLY_SENT}, ""),
        (
            TCP,
            {"bits_per_s": 72.0, "bytes": 9.0, "sent_bits_per_s": 80.0, "sent_bytes": 10.0, "retransmits": 4},
            "",
        ),
        (run_of(SENT, SENT, NOT_RECEIVED, error=INTERRUPTED), ONLY_SENT, INTERRUPTED),
        (
            run_of(RECEIVED, NOT_RECEIVED, RECEIVED, reverse=1, error=INTERRUPTED),
            {"bits_per_s": 2e6, "bytes": 532864, "jitter_ms": 0.5, "lost_percent": 73.2},
            INTERRUPTED,
        ),
        ({"start": {}, "intervals": [], "end": {}, "error": "unable to connect"}, {}, "unable to connect"),
        ({"error": "the server is busy"}, {}, "the server is busy"),
    ],
    ids=["udp", "udp-before-3.10", "tcp", "interrupted", "reverse-interrupted", "not-connected", "error-alone"],
)
def test_iperf3_says_what_arrived_where_the_receiver_said_it(
    document: dict[str, Any], figures: Figures, error: str
) -> None:
    assert report("iperf3", json.dumps(document)) == (figures, error)


@pytest.mark.parametrize(
    "text",
    [
        "warning\n{}",
        "warning: {{this}} is no document\n{}",
        'warning: {{"end": 1}} {}',
        "{}\niperf3: interrupt - the client has terminated\n",
        "{} {{",
        '{{"a": ' * 5000 + "{}",
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_text_around_a_document_takes_nothing_from_it(text: str, indent: int | None) -> None:
    assert report("iperf3", text.format(json.dumps(UDP, indent=indent))).figures == FIGURES


def test_a_document_in_events_is_read() -> None:
    events = [{"event": name, "data": UDP[name]} for name in ("start", "end")]
    text = "\n".join(json.dumps(event) for event in events)
    assert report("iperf3", text) == (FIGURES, "")
    failed = json.dumps({"event": "error", "data": "unable to connect"})
    assert report("iperf3", failed) == ({}, "unable to connect")


@given(st.data())
def test_a_document_that_was_cut_has_no_figures(data: st.DataObject) -> None:
    text = json.dumps(UDP, indent=data.draw(st.sampled_from([None, 1])))
    cut = data.draw(st.integers(1, len(text) - 1))
    assert report("iperf3", text[cut:]) == report("iperf3", text[:cut]) == ({}, "")


def test_what_is_no_finite_number_is_no_figure() -> None:
    odd = {**RECEIVED, "bytes": 10**400, "bits_per_second": float("nan"), "jitter_ms": True, "lost_percent": "3"}
    assert report("iperf3", json.dumps(run_of(SUM, SENT, odd))).figures == ONLY_SENT


@pytest.mark.parametrize(("program", "output"), [("curl", WRK), ("wrk", WRK[:200]), ("iperf3", "{"), ("iperf3", "")])
def test_other_tools_and_output_cut_short_have_no_figures(program: str, output: str) -> None:
    assert report(program, output) == ({}, "")


@pytest.mark.parametrize("number", ["9" * 5000, "1.2.3", "."])
def test_a_number_that_is_none_is_no_figure(number: str) -> None:
    assert report("wrk", f"{number} requests in 10.00s\nRequests/sec: {number}\n") == ToolReport({})
