"""Processes that end on purpose, and those that do not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from testbed.emulation.network import EmulatedNetwork
from testbed.emulation.node_processes import NodeProcesses
from testbed.emulation.run_tag import RunTag
from testbed.experiment.launch.processes import Processes, RunError
from testbed.records.writer import RecordWriter
from testbed.runtime.document import ProcessConfig
from testbed.runtime.forked_process import ForkedProcess
from testbed.runtime.polling import wait_until
from tests.wording import stutters


class _Network:
    """Start processes where this one is, as a network does in its nodes."""

    def __init__(self) -> None:
        self._started = NodeProcesses(RunTag("beef"), lambda _: os.getpid())
        self.children: list[ForkedProcess] = []

    def start_module(
        self, node: str | None, module: str, arguments: Sequence[str], *, name: str, log_path: Path, pass_fds: Any
    ) -> ForkedProcess:
        assert node and name
        child = self._started.start_module(None, module, arguments, log_path=log_path, pass_fds=pass_fds)
        self.children.append(child)
        return child

    def end(self) -> None:
        self._started.end(grace_s=5)


@pytest.fixture
def network() -> Iterator[_Network]:
    network = _Network()
    yield network
    network.end()


@pytest.fixture
def processes(network: _Network, tmp_path: Path) -> Processes:
    return Processes(cast(EmulatedNetwork, network), tmp_path, tmp_path / "logs")


def _start(processes: Processes, name: str = "render-1@east") -> None:
    processes.start("host", "tests.obedient_process", ProcessConfig(name, Path("out")))
    processes.wait_ready([name], 10)


def _write(folder: Path) -> None:
    with RecordWriter(folder, "render-1@east") as writer:
        writer.write("instances", {"time_s": 1.0})


def test_who_is_killed_on_purpose_is_missed_by_nobody_and_may_come_back(processes: Processes, tmp_path: Path) -> None:
    _start(processes)
    _write(tmp_path)
    processes.kill("render-1@east")
    processes.check()
    assert not processes.is_running("render-1@east")
    _start(processes)
    _write(tmp_path)
    assert processes.is_running("render-1@east")
    assert len(list(tmp_path.glob("instances.render-1@east*.part.csv"))) == 2
    assert processes.end(processes.names()) == []


def test_who_dies_unasked_ends_the_run(processes: Processes, network: _Network) -> None:
    _start(processes)
    os.kill(network.children[0].pid, signal.SIGKILL)
    wait_until(lambda: network.children[0].poll() is not None, 10, "its end")
    with pytest.raises(RunError, match="render-1@east ended with code -9"):
        processes.check()


def test_last_words_that_begin_with_the_name_are_said_without_it(
    processes: Processes, network: _Network, tmp_path: Path
) -> None:
    _start(processes)
    os.kill(network.children[0].pid, signal.SIGKILL)
    wait_until(lambda: network.children[0].poll() is not None, 10, "its end")
    (tmp_path / "logs" / "render-1@east.log").write_text("render-1@east: cpu_limit: nothing here can hold it\n")
    with pytest.raises(RunError) as caught:
        processes.check()
    assert str(caught.value).startswith(
        "render-1@east ended with code -9: cpu_limit: nothing here can hold it (all of it "
    )
    assert not stutters(str(caught.value))


def test_who_is_dismissed_may_take_its_time_and_be_started_again(processes: Processes, network: _Network) -> None:
    _start(processes)
    processes.stop("render-1@east")
    assert not processes.is_running("render-1@east")
    _start(processes)  # waits for the former one
    assert network.children[0].poll() == 0
    processes.check()
    assert processes.end(processes.names()) == []


def test_nobody_is_started_twice(processes: Processes) -> None:
    _start(processes)
    with pytest.raises(RunError, match="runs already"):
        _start(processes)


def test_a_process_may_be_called_like_anything_that_can_be_seen(processes: Processes, tmp_path: Path) -> None:
    name = "render-1@../Minneapolis/St Paul"
    _start(processes, name)
    processes.stop(name)
    _start(processes, name)
    processes.kill(name)
    _start(processes, name)
    assert processes.end(processes.names()) == []
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"logs", "render-1@"}
    assert all("Minneapolis%2FSt Paul" in path.name for path in tmp_path.iterdir() if path.name != "logs")
