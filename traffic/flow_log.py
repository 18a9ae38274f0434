"""What became of the flows of one workload: their rows in `flows` and `rtp`, and the sums for the verdict.

Owns the outcomes and the invariant that each flow that was due gets exactly one row. Knows no sockets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum

from testbed.records.writer import RecordWriter
from testbed.runtime.message_errors import MessageErrors
from traffic.config import GeneratorConfig
from traffic.send_accuracy import SendAccuracy
from traffic.workloads import AnyWorkload


class Outcome(str, Enum):
    """How a flow ended. `connected_s` separates those that ended before and after a connection was made."""

    OK = "ok"  # HTTP: the whole answer, status 2xx. RTP: at least one packet came back
    REFUSED = "refused"  # HTTP 503: the instance's queue is full
    TIMEOUT = "timeout"  # no whole answer within timeout_s of the start
    RESET = "reset"  # the other end closed: a closed port, a dead instance, a connection cut off
    UNREACHABLE = "unreachable"  # the network said so (no route, ICMP); RTP: ICMP, and nothing came back
    UNRESOLVED = "unresolved"  # the name server gave no address for the service's name: nothing was sent
    NO_ANSWER = "no_answer"  # RTP: nothing came back, and nobody said why
    ERROR = "error"  # anything else: another status, an answer that is not HTTP
    LOCAL_LIMIT = "local_limit"  # this client had no socket or port left: nothing was sent
    INTERRUPTED = "interrupted"  # the generator was asked to end before the flow had ended


class FlowLog:
    """The records of one workload at one client. `counts`: whatever else happened, by name; `errors`: see there.

    `on_complete` is called when the last flow of the schedule has its row.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        workload: AnyWorkload,
        proto: str,
        records: RecordWriter,
        on_complete: Callable[[], None],
    ) -> None:
        self.name = workload.name
        self.accuracy = SendAccuracy()
        self.outcomes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.errors = MessageErrors(self.counts)
        self.recorded = 0
        self._records = records
        self._on_complete = on_complete
        self._workload = workload
        self._client = config.client
        self._source = str(config.source[workload.d_sid.version])
        self._common = {
            "workload": workload.name,
            "kind": workload.kind,
            "service": workload.service,
            "client": config.client,
            "ingress": config.site,
            "proto": proto,
            "src": self._source,
            "d_sid": str(workload.d_sid),
            "dst_port": workload.port,
        }

    @property
    def flows_due(self) -> int:
        """How many flows the whole schedule has."""
        return len(self._workload.arrivals) * self._workload.flows_per_arrival

    @property
    def is_complete(self) -> bool:
        """Whether every flow of the schedule has its row."""
        return self.recorded == self.flows_due

    def flow_id(self, number: int) -> str:
        """Return the name of the n-th flow: `<workload>/<client>/<n>`."""
        return f"{self._workload.name}/{self._client}/{number}"

    def flow(self, number: int, outcome: Outcome, row: Mapping[str, object]) -> None:
        """Write the row of a flow that has ended. For calls, write its `echo` first: this may be the end of the run."""
        self.recorded += 1
        self.outcomes[outcome.value] += 1
        self._records.write("flows", {"flow_id": self.flow_id(number), **self._common, **row, "outcome": outcome.value})
        if self.is_complete:
            self._on_complete()

    def echo(self, number: int, row: Mapping[str, object]) -> None:
        """Write the `rtp` row of a call's echoed stream; `src` and `src_port` are the call's own, as in `flows`."""
        self._records.write(
            "rtp",
            {
                "flow_id": self.flow_id(number),
                "receiver": self._client,
                "direction": "echo",
                "src": self._source,
                **row,
            },
        )

    def activation(self, number: int, row: Mapping[str, object]) -> None:
        """Write the parts of an invocation; before its `flow`, which may be the end of the run."""
        common = {"function": self._workload.service, **{key: self._common[key] for key in ("client", "ingress")}}
        self._records.write("activations", {"flow_id": self.flow_id(number), **common, **row})

    def summary(self) -> dict[str, object]:
        """Return the sums of this workload, ready for JSON. `sending`: requests, or packets of calls."""
        return {
            "kind": self._workload.kind,
            "flows_due": self.flows_due,
            "flows_recorded": self.recorded,
            "outcomes": dict(self.outcomes),
            "counts": dict(self.counts),
            "sending": self.accuracy.summary(),
        }


class PartLog:
    """The records of one of the flows of each call of a workload, by kind and port at the service."""

    def __init__(self, log: FlowLog, part: str, kind: str, dst_port: int) -> None:
        self.accuracy = log.accuracy
        self.counts = log.counts
        self.errors = log.errors
        self._log = log
        self._part = part
        self._own = {"kind": kind, "dst_port": dst_port}

    def call(self, number: int) -> str:
        """Return the id of the n-th call."""
        return self._log.flow_id(number)

    def flow_id(self, number: int) -> str:
        """Return the name of this flow of the n-th call: `<call>/<part>`."""
        return f"{self.call(number)}/{self._part}"

    def flow(self, number: int, outcome: Outcome, row: Mapping[str, object]) -> None:
        """Write its row, once it has ended."""
        named = {"flow_id": self.flow_id(number), "call": self.call(number), **self._own}
        self._log.flow(number, outcome, {**row, **named})

    def echo(self, number: int, row: Mapping[str, object]) -> None:
        """Write the `rtp` row of its echoed stream."""
        self._log.echo(number, {**row, "flow_id": self.flow_id(number), "call": self.call(number)})
