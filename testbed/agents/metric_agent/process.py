"""The metric agent (D-MA): `python -m testbed.agents.metric_agent CONFIG.json` (docs/processes.md).

Owns the sockets of the D-MA: it polls the instances of its site, and sends what the pure `MetricAgent`
makes of it to its D-Router. Section 3 of draft-li-rtgwg-dyncast-architecture.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Collection, Mapping

from testbed.agents.metric_agent.config import MetricAgentConfig, PolledInstance
from testbed.agents.metric_agent.metrics_client import MalformedAnswer, NotServedError, Polled, PollTally, poll
from testbed.agents.metric_agent.report_streams import ReportStream, report_streams
from testbed.dyncast.messages.authentication import Identity, Role
from testbed.dyncast.messages.reports import BindingReport, Report
from testbed.dyncast.metric_agent.agent import AgentBinding
from testbed.dyncast.metrics.levels import State
from testbed.dyncast_io import keys_file
from testbed.records.writer import RecordWriter
from testbed.runtime.lifecycle import announce_ready
from testbed.runtime.message_errors import MessageErrors

_LEAST_POLL_LIMIT_S = 1.0
_MOST_GRACE_S = 0.2
_CONTROL_ROWS_EVERY_S = 1.0


class Agent:
    """Poll, report, record; from construction to `close`."""

    def __init__(self, config: MetricAgentConfig, records: RecordWriter) -> None:
        self._config = config
        identity = Identity(Role.AGENT, config.site)
        self._authenticator = keys_file.authenticator(config.keys_file, identity, time.monotonic_ns())
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._by_binding = {
            AgentBinding(entry.d_sid, entry.d_bid, entry.normalisation, entry.service): entry
            for entry in config.instances
        }
        self._start_s = self._loop.time()
        self._streams = report_streams(config, self._by_binding, self._start_s)
        self._polls: dict[AgentBinding, asyncio.Task[None]] = {}
        self._observed_s: dict[AgentBinding, float] = {}
        self._to_come = {binding for binding, entry in self._by_binding.items() if entry.comes_and_goes}
        self._tallies = {str(entry.metrics_url): PollTally() for entry in config.instances}
        self._errors = MessageErrors(Counter())
        self._unsent = 0
        self._control_written_s = float("-inf")
        family = socket.AF_INET6 if config.d_router[0].version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    async def serve(self) -> None:
        """Poll at each interval and report what is due; never returns."""
        next_poll_s, poll_interval_s = self._start_s, self._config.polls_each_s
        while True:
            due_s = min(next_poll_s, *(stream.agent.next_timer_s(self._loop.time()) for stream in self._streams))
            await asyncio.sleep(max(0.0, due_s - self._loop.time()))
            now_s = self._loop.time()
            if now_s >= next_poll_s:
                next_poll_s += poll_interval_s * (1 + (now_s - next_poll_s) // poll_interval_s)
                await self._poll_all()
            for stream in self._streams:
                for report in stream.agent.reports(self._loop.time()):
                    self._send(report, stream)
            if self._loop.time() - self._control_written_s >= _CONTROL_ROWS_EVERY_S:
                self._write_control()
            self._records.flush()

    async def close(self) -> None:
        """End what is under way; write the last of the signalling counters."""
        for task in self._polls.values():
            task.cancel()
        await asyncio.gather(*self._polls.values(), return_exceptions=True)
        self._socket.close()
        self._write_control()

    async def _poll_all(self) -> None:
        """Start the polls of an interval, and wait for them a moment, so that reports are up to date.

        An instance that takes longer is reported as last seen, and as down once its poll has reached its limit.
        """
        for binding, entry in self._by_binding.items():
            if binding not in self._polls or self._polls[binding].done():
                self._polls[binding] = asyncio.create_task(self._observe(binding, entry))
        grace_s = min(self._config.polls_each_s / 2, _MOST_GRACE_S)
        done, _ = await asyncio.wait(self._polls.values(), timeout=grace_s)
        for task in done:
            task.result()  # a bug in a poll must not pass in silence

    async def _observe(self, binding: AgentBinding, entry: PolledInstance) -> None:
        """Poll one instance; one that does not answer, or not sensibly, is down."""
        limit_s = max(self._config.polls_each_s, _LEAST_POLL_LIMIT_S)
        answer: Polled | None = None
        is_absent = binding in self._to_come
        try:
            answer = await poll(entry, self._tallies[str(entry.metrics_url)], limit_s)
            self._to_come.discard(binding)
        except NotServedError as error:
            if entry.comes_and_goes:
                is_absent = True
            else:
                self._write_dropped(str(error), str(binding.d_sid), str(binding.d_bid))
        except MalformedAnswer as error:
            self._write_dropped(str(error), str(binding.d_sid), str(binding.d_bid))
        except (OSError, EOFError, asyncio.TimeoutError):
            pass
        except Exception as error:
            self._errors.note("poll", error)
        try:
            self._take_in(binding, answer, is_absent=is_absent and answer is None)
        except Exception as error:
            self._errors.note("poll", error)
            self._take_in(binding, None)

    def _take_in(self, binding: AgentBinding, answer: Polled | None, *, is_absent: bool = False) -> None:
        self._observed_s[binding] = now_s = self._loop.time()
        is_draining = bool(answer and answer.is_draining)
        for stream in self._streams:
            raw = answer.raw if answer else None
            stream.agent.observe(binding, raw, is_draining, now_s, is_absent=is_absent)

    def _send(self, report: Report, stream: ReportStream) -> None:
        data = stream.encode(report)
        data = self._authenticator.sign(data) if self._authenticator else data
        try:
            self._socket.sendto(data, _socket_address(stream))
        except OSError as error:
            self._unsent += 1
            for binding in report.bindings:
                self._write_dropped(f"not sent: {error.strerror}", str(binding.d_sid), str(binding.d_bid))
            return
        stream.sent += 1
        stream.sent_bytes += len(data)
        attributes = {metric.attribute for metric in stream.metrics}
        for binding in report.bindings:
            self._records.write("metrics", self._metrics_row(report, binding, attributes))

    def _metrics_row(self, report: Report, binding: BindingReport, attributes: Collection[str]) -> Mapping[str, object]:
        raw = binding.raw
        observed_s = self._observed_s[AgentBinding(binding.d_sid, binding.d_bid)]
        row: dict[str, object] = {
            "time_s": report.sent_s,
            "node": self._config.name,
            "event": "sent",
            "reason": "" if binding.state is State.UP else binding.state.name.lower(),
            "source": self._config.site,
            "sequence": report.sequence,
            "d_sid": binding.d_sid,
            "d_bid": binding.d_bid,
            "score": binding.score,
            "age_s": report.sent_s - observed_s,
        }
        if raw:
            columns = {name: value for name, value in vars(raw).items() if name in attributes}
            if "service_time_s" in columns:
                row["service_time_ms"] = columns.pop("service_time_s") * 1e3
            row |= {**columns, **(binding.scores.category_columns() if "overall" in attributes else {"score": ""})}
        return row

    def _write_dropped(self, reason: str, d_sid: str, d_bid: str) -> None:
        self._records.write(
            "metrics",
            {
                "time_s": self._loop.time(),
                "node": self._config.name,
                "event": "dropped",
                "reason": reason,
                "source": self._config.site,
                "d_sid": d_sid,
                "d_bid": d_bid,
            },
        )

    def _write_control(self) -> None:
        """Write the cumulative signalling counters, of reports and of polls (payload bytes, HTTP included)."""
        now_s = self._control_written_s = self._loop.time()
        rows = [
            ("sent", f"{stream.to[0]} {stream.to[1]}", stream.kind, stream.sent, stream.sent_bytes)
            for stream in self._streams
        ]
        for url, tally in self._tallies.items():
            rows.append(("sent", url, "poll", tally.requests, tally.request_bytes))
            rows.append(("received", url, "poll", tally.answers, tally.answer_bytes))
        counters = sum((stream.agent.counters for stream in self._streams), self._errors.counters)
        counters["messages_unsent"] = self._unsent
        rows += [("local", "", kind, count, 0) for kind, count in counters.items() if count]
        columns = ("direction", "peer", "kind", "messages", "bytes")
        for row in rows:
            named = dict(zip(columns, row, strict=True))
            self._records.write("control", {"time_s": now_s, "node": self._config.name, **named})


def _socket_address(stream: ReportStream) -> tuple[str, int]:
    return str(stream.to[0]), stream.to[1]


async def serve(config: MetricAgentConfig, records: RecordWriter) -> None:
    """Be a metric agent until cancelled."""
    agent = Agent(config, records)
    try:
        announce_ready(config)
        await agent.serve()
    finally:
        await agent.close()
