"""A service instance shows what it is like in shared memory, at each change."""

from __future__ import annotations

import subprocess
from pathlib import Path

from testbed.dyncast.metrics.levels import RawMetrics
from testbed.dyncast_io.shared_state import TrueState, path_of
from testbed.runtime.polling import wait_until
from tests.integration.agent_processes import RunningInstance


def test_requests_show_when_they_come_wait_are_refused_and_end(tmp_path: Path) -> None:
    file = path_of(tmp_path / "true_states", "10.3.0.10")
    instance = RunningInstance(
        tmp_path, true_state={"file": str(file), "ingresses": 2}, workers=1, queue_limit=1, sample_interval_s=3600
    )  # so that nothing but its work makes it say anything
    asking: list[subprocess.Popen[bytes]] = []

    def seen() -> RawMetrics:
        raw = shared.read()
        assert raw is not None
        return raw

    def ask() -> None:
        url = f"http://127.0.0.1:{instance.http}/?work_ms=3600000"
        asking.append(subprocess.Popen(["curl", "-s", "-o", "/dev/null", url]))

    try:
        instance.wait_ready()
        shared = TrueState(file, 2)
        assert seen() == RawMetrics(1, queue_limit=1, service_time_s=0.005)
        subprocess.run(["curl", "-s", f"http://127.0.0.1:{instance.http}/?work_ms=50"], check=True, capture_output=True)
        served = wait_until(lambda: seen() if seen().sessions == 0 and seen().sessions_started == 1 else None)
        assert 0.045 < served.service_time_s < 0.055
        ask()
        busy = wait_until(lambda: seen() if seen().sessions_started == 2 else None)
        assert (busy.busy_workers, busy.queue_length, busy.sessions) == (1, 0, 1)
        ask()
        waiting = wait_until(lambda: seen() if seen().sessions_started == 3 else None)
        assert (waiting.busy_workers, waiting.queue_length, waiting.sessions) == (1, 1, 2)
    finally:
        for curl in asking:
            curl.kill()
            curl.wait()
        instance.stop()
