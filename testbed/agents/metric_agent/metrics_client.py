"""Ask an instance for its metrics, and check what it says.

Owns the client side of the admin port: one short HTTP exchange per poll, repeated while there is no answer, and the L0
metrics read strictly out of the answer. What is not what `docs/processes.md` says is malformed, never guessed at.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from testbed import json_documents
from testbed.agents.metric_agent.config import PolledInstance
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.errors import TestbedError

_MAX_ANSWER_BYTES = 64 * 1024
_MOST = 2**64 - 1  # of a whole number: a report has room for it
_MAX_SERVICE_TIME_MS = 1e9
_ATTEMPTS = 4


class MalformedAnswer(TestbedError, ValueError):
    """An answer that cannot be used, and why."""


class NotServedError(MalformedAnswer):
    """It says that there is nothing where it is asked: what it could be asked for is not, or no more, served there."""


class Polled(NamedTuple):
    """What an instance said of itself."""

    raw: RawMetrics
    is_draining: bool


@dataclass
class PollTally:
    """How much polling one instance has cost."""

    requests: int = 0
    request_bytes: int = 0
    answers: int = 0
    answer_bytes: int = 0


async def poll(entry: PolledInstance, tally: PollTally, limit_s: float) -> Polled:
    """Return what the instance says now. Raises MalformedAnswer, OSError, EOFError, and TimeoutError of asyncio.

    One lost packet is no death, but TCP repeats a lost SYN only after a second. So another connection is tried beside
    the first when a part of the limit has passed without a word; what comes first, an answer or a refusal, counts.
    """
    attempts: list[asyncio.Task[Polled]] = []
    try:
        for _ in range(_ATTEMPTS):
            attempts.append(asyncio.create_task(_exchange(entry, tally)))
            done, _ = await asyncio.wait(attempts, timeout=limit_s / _ATTEMPTS, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return min(done, key=lambda attempt: attempt.exception() is not None).result()
        raise asyncio.TimeoutError
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _exchange(entry: PolledInstance, tally: PollTally) -> Polled:
    url = entry.metrics_url
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=_MAX_ANSWER_BYTES)
    try:
        request = f"GET {url.path} HTTP/1.1\r\nHost: {url.authority}\r\nConnection: close\r\n\r\n".encode()
        writer.write(request)
        tally.requests += 1
        tally.request_bytes += len(request)
        # The instance closes after its answer; one byte over the limit shows an answer that is too long.
        answer = bytearray()
        while len(answer) <= _MAX_ANSWER_BYTES and (part := await reader.read(_MAX_ANSWER_BYTES)):
            answer += part
        if not answer:
            raise EOFError
        tally.answers += 1
        tally.answer_bytes += len(answer)
        return read_answer(bytes(answer))
    finally:
        writer.transport.abort()


def read_answer(answer: bytes) -> Polled:
    """Read a whole HTTP answer. Raises MalformedAnswer."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(answer) > _MAX_ANSWER_BYTES or not gap or len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise MalformedAnswer("no HTTP answer")
    if words[1] == b"404":
        raise NotServedError("HTTP status 404")
    if words[1] != b"200":
        raise MalformedAnswer(f"HTTP status {words[1].decode('latin-1')}"[:200])
    try:
        values = json_documents.parse(body)
    except ValueError as error:
        raise MalformedAnswer("no JSON in the answer") from error
    if not isinstance(values, dict):
        raise MalformedAnswer("no JSON object in the answer")
    try:
        raw = RawMetrics(
            workers=_integer(values, "workers"),
            busy_workers=_integer(values, "busy_workers"),
            queue_length=_integer(values, "queue_length"),
            queue_limit=_integer(values, "queue_limit"),
            sessions=_integer(values, "sessions"),
            sessions_started=_integer(values, "sessions_started"),
            utilisation=_number(values, "utilisation", 1.0),
            service_time_s=_number(values, "service_time_ms", _MAX_SERVICE_TIME_MS) / 1e3,
            cpu_utilisation=_number(values, "cpu_utilisation", 1.0),
            memory_bytes=_integer(values, "memory_bytes"),
            memory_limit_bytes=_integer(values, "memory_limit_bytes"),
            capacity_per_s=_number(values, "capacity_per_s", sys.float_info.max),
            throughput_bps=_number(values, "throughput_bps", sys.float_info.max),
        )
    except MalformedAnswer:
        raise
    except ValueError as error:
        raise MalformedAnswer(str(error)) from error
    if values.get("state") not in ("up", "draining"):
        raise MalformedAnswer(f"state must be up or draining, not {values.get('state')!r}"[:200])
    return Polled(raw, values["state"] == "draining")


def _number(values: Mapping[str, Any], key: str, most: float) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise MalformedAnswer(f"{key} must be a number in 0..{most:g}, not {value!r}"[:200])
    return float(value)


def _integer(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedAnswer(f"{key} must be an integer, not {value!r}"[:200])
    if value > _MOST:
        raise MalformedAnswer(f"{key} is above {_MOST}")
    return value
