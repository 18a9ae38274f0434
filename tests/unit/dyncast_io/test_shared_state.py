"""The shared memory of an instance: who reads sees what was written last, whole."""

from __future__ import annotations

import mmap
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_apps.dyncast.shared_states import SharedStates
from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast_io.shared_state import Figures, TrueState, path_of
from testbed.runtime.polling import wait_until

REPOSITORY = Path(__file__).parents[3]

D_BID = ip_address("10.1.0.20")
FIGURES = Figures(4, 3, 2, 50, 5, 100, 0.75, 0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_of(tmp_path, str(D_BID))


def test_others_see_what_was_published(path: Path) -> None:
    writer, reader = TrueState(path, 3), TrueState(path, 3)
    writer.publish(FIGURES)
    assert reader.read() == RawMetrics(4, 3, 2, 50, 5, 100, 0.75, 0.05)
    writer.publish(FIGURES._replace(sessions=6))
    raw = reader.read()
    assert raw is not None
    assert raw.sessions == 6


def test_nothing_was_published_yet(path: Path) -> None:
    assert TrueState(path, 1).read() is None


@given(place=st.integers(0, 67), value=st.integers(1, 255))
def test_a_record_that_is_half_written_is_not_read(
    place: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("state") / "half"
    state = TrueState(path, 1)
    state.publish(FIGURES)
    before = state.read()
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as memory:
        memory[place] ^= value
    assert state.read() == before


_WRITER = """
import sys
from pathlib import Path
from testbed.dyncast_io.shared_state import Figures, TrueState
state, number = TrueState(Path(sys.argv[1]), 1), 0
while True:
    number = number % 1_000_000 + 1
    state.publish(Figures(*[number] * 6, number / 1e6, number))
"""


def test_no_reader_ever_sees_two_records_mixed(path: Path) -> None:
    """Another process changes every figure each time; whoever saw half of a change would see figures that differ."""
    reader = TrueState(path, 1)
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], cwd=REPOSITORY) as writer:
        try:
            wait_until(lambda: reader.read() is not None, 20, "the first record")
            seen: set[int] = set()

            def saw_many() -> bool:
                for _ in range(5_000):
                    raw = reader.read()
                    assert raw is not None
                    assert {raw.busy_workers, raw.sessions, round(raw.utilisation * 1e6), raw.service_time_s} == {
                        raw.workers
                    }
                    seen.add(raw.sessions)
                return len(seen) > 2_000

            wait_until(saw_many, 60, "two thousand records")
        finally:
            writer.kill()


def test_flows_are_under_way_until_they_arrive_whoever_sent_them(path: Path) -> None:
    state, other = TrueState(path, 3), TrueState(path, 3)
    state.send(0, arrives_s=1.0)
    state.send(0, arrives_s=3.0)
    other.send(2, arrives_s=2.0)
    assert [state.under_way(now_s) for now_s in (0.5, 1.0, 2.5, 3.0)] == [3, 2, 1, 0]
    assert other.under_way(0.5) == 3


def test_of_many_flows_of_one_ingress_the_last_256_are_remembered(path: Path) -> None:
    state = TrueState(path, 1)
    for number in range(1000):
        state.send(0, arrives_s=float(number))
    assert state.under_way(998.5) == 1
    assert state.under_way(-1.0) == 256


def test_an_instance_that_starts_again_finds_its_place(path: Path) -> None:
    reader = TrueState(path, 2)
    TrueState(path, 2).publish(FIGURES)
    TrueState(path, 2).publish(FIGURES._replace(sessions_started=0))
    raw = reader.read()
    assert raw is not None
    assert raw.sessions_started == 0


def test_ingresses_share_what_they_sent(tmp_path: Path) -> None:
    east, west = (SharedStates(tmp_path, site, ["west", "east"]) for site in ("east", "west"))
    assert east.of(D_BID, 0.0) is None
    TrueState(path_of(tmp_path, str(D_BID)), 2).publish(FIGURES)
    east.send(D_BID, arrives_s=1.0)
    west.send(D_BID, arrives_s=1.0)
    assert east.under_way(D_BID, 0.5) == west.under_way(D_BID, 0.5) == 2
    raw = west.of(D_BID, 0.0)
    assert raw is not None
    assert raw.sessions == 5
