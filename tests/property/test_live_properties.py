"""A run that is watched is the same however its files grow under the reader."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from testbed.experiment.live import documents
from testbed.experiment.live.flow_rates import Times
from testbed.experiment.live.state import LiveReader
from testbed.experiment.live.tail import Tail
from testbed.records.writer import RecordWriter
from tests.scenarios import small_plan

_PLAN = small_plan()
_CLIENTS = [client.name for client in _PLAN.clients]
_INSTANCES = ["render-1@east", "render-1@middle", ""]
_START_S = 100.0

_FLOW = st.fixed_dictionaries(
    {
        "client": st.sampled_from(_CLIENTS),
        "instance": st.sampled_from(_INSTANCES),
        "outcome": st.sampled_from(["ok", "refused", "timeout"]),
        "due_s": st.floats(_START_S, _START_S + 3.5),
        "completion_ms": st.floats(1, 500),
    }
)


def _parts(flows: list[dict[str, object]]) -> dict[str, bytes]:
    """Return what the generators would have written of these flows, by file."""
    with TemporaryDirectory() as folder:
        for client in _CLIENTS:
            with RecordWriter(folder, client) as writer:
                for flow in (flow for flow in flows if flow["client"] == client):
                    times = {"started_s": flow["due_s"], "finished_s": flow["due_s"]}
                    writer.write("flows", {**flow, **times, "d_sid": "203.0.113.10", "service": "render"})
        return {path.name: path.read_bytes() for path in Path(folder).glob("*.csv")}


@given(flows=st.lists(_FLOW, max_size=12), cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_state(flows: list[dict[str, object]], cuts: list[int]) -> None:
    parts = _parts(flows)
    states = []
    for ends in ([10**9], [*sorted(cuts), 10**9]):
        with TemporaryDirectory() as folder:
            reader = LiveReader(_PLAN, Path(folder), _START_S)
            for begin, end in zip([0, *ends], ends, strict=False):
                for name, content in parts.items():
                    with (Path(folder) / name).open("ab") as stream:
                        stream.write(content[begin:end])
                state = reader.read(_START_S + 4.5, [])
            reader.close()
            states.append(documents.state(state))
    assert states[0] == states[1]
    assert states[0]["ended"] == len(flows)


@given(rows=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=9)),
       most=st.integers(1, 300))  # fmt: skip
def test_a_tail_gives_each_row_once(rows: list[str], most: int) -> None:
    with TemporaryDirectory() as folder:
        tail = Tail(Path(folder), "faults", "p", most_bytes=most)
        with RecordWriter(folder, "p") as writer:
            for text in rows:
                writer.write("faults", {"detail": text})
                writer.flush()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        seen = [row["detail"] for _ in range(size // most + 2) for row in tail.rows()]
        tail.close()
    assert seen == rows


@given(st.lists(st.floats(0.02, 1e5), min_size=1))
def test_quantiles_are_right_within_the_width_of_a_bin(durations_ms: list[float]) -> None:
    times = Times()
    for duration_ms in durations_ms:
        times.add(duration_ms)
    ranked = sorted(durations_ms)
    for share in (0.5, 0.95):
        exact = ranked[max(0, -(-int(share * 100) * len(ranked) // 100) - 1)]
        found = times.quantile_ms(share)
        assert found is not None and abs(found / exact - 1) < 0.06
