"""Clusters on this machine: functions in real containers of each sandbox, their limits, and what is left of them."""

from __future__ import annotations

import base64
import io
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.runtime.polling import wait_until
from tests.faas_process import PROGRAMS, ClusterOfTest, cluster, remains
from tests.machine import dyncast

pytestmark = [pytest.mark.root]

LOOK_AROUND = """
import os, socket
def main(args):
    def refused(action):
        try:
            action()
            return False
        except OSError:
            return True
    return {
        "uid": os.getuid(), "root": sorted(os.listdir("/")),
        "pids": [int(p) for p in os.listdir("/proc") if p.isdigit()],
        "read_only": refused(lambda: open("/usr/x", "w")), "writable": not refused(lambda: open("/action/x", "w")),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "no_way_out": refused(lambda: socket.create_connection(("192.0.2.1", 80), timeout=1)),
        "shadow": os.path.exists("/etc/shadow"),
        "privileges": [l for l in open("/proc/self/status") if l.startswith("CapEff")],
    }
"""


@pytest.fixture(scope="module", params=PROGRAMS)
def standing(request: pytest.FixtureRequest) -> Iterator[ClusterOfTest]:
    before = remains()
    with cluster("--slots", "4", program=request.param) as running:
        yield running
        assert running.end() == 0
    assert remains() == before


def test_a_function_runs_and_its_container_is_used_again(standing: ClusterOfTest) -> None:
    standing.create("echo", "def main(args):\n    print('hello')\n    return {'said': args}")
    first, second = standing.invoke("echo", {"a": 1}), standing.invoke("echo", {"a": 2})
    assert [reply.document["response"]["result"] for reply in (first, second)] == [
        {"said": {"a": 1}},
        {"said": {"a": 2}},
    ]
    annotations = [{item["key"]: item["value"] for item in reply.document["annotations"]} for reply in (first, second)]
    assert [item["start"] for item in annotations] == ["cold", "warm"]
    assert [reply.document["logs"][0].partition(" ")[2] for reply in (first, second)] == ["stdout: hello"] * 2


def test_a_container_sees_a_read_only_system_and_no_network(standing: ClusterOfTest) -> None:
    standing.create("look", LOOK_AROUND)
    seen = standing.result("look")
    assert seen["read_only"] and seen["writable"] and seen["no_way_out"] and not seen["shadow"]
    assert seen["interfaces"] == ["lo"]
    assert seen["uid"] != 0 and seen["privileges"] == ["CapEff:\t0000000000000000\n"]
    assert max(seen["pids"]) < 20
    assert not {"home", "root", "run", "work"} & set(seen["root"])


def test_a_function_that_takes_too_long_is_killed(standing: ClusterOfTest) -> None:
    standing.create(
        "slow", "import time\ndef main(args):\n    print('on')\n    time.sleep(60)", limits={"timeout": 300}
    )
    reply = standing.invoke("slow")
    assert reply.status == 502
    assert "300 ms" in reply.document["response"]["result"]["error"]
    assert [line.partition(" ")[2] for line in reply.document["logs"]] == ["stdout: on"]


def test_a_function_that_ends_its_process_is_an_error_and_the_next_one_runs(standing: ClusterOfTest) -> None:
    standing.create("exit", "import os\ndef main(args):\n    os._exit(3) if args.get('die') else None\n    return {}")
    reply = standing.invoke("exit", {"die": True})
    assert (reply.status, reply.document["response"]["status"]) == (502, "action developer error")
    assert standing.result("exit") == {}


def test_a_function_that_raises_says_what_in_its_logs(standing: ClusterOfTest) -> None:
    standing.create("raise", "def main(args):\n    raise ValueError('no such thing')")
    reply = standing.invoke("raise")
    assert "ValueError: no such thing" in reply.document["response"]["result"]["error"]
    assert any("stderr: Traceback" in line for line in reply.document["logs"])


def test_a_function_beyond_its_memory_is_killed(standing: ClusterOfTest) -> None:
    if any("not limited" in line and "memory" in line for line in standing.said):
        pytest.skip("capability cgroup is missing: no memory controller is mounted here")
    standing.create("eat", "def main(args):\n    return {'n': len(bytearray(200 << 20))}", limits={"memory": 64})
    reply = standing.invoke("eat")
    assert reply.status == 502 and "memory" in reply.document["response"]["result"]["error"]


def test_an_archive_is_unpacked_in_the_container(standing: ClusterOfTest) -> None:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as opened:
        opened.writestr("__main__.py", "import inner\ndef main(args):\n    return {'n': inner.NUMBER}")
        opened.writestr("inner.py", "NUMBER = 7")
    standing.create("zipped", base64.b64encode(octets.getvalue()).decode(), exec={"binary": True})
    assert standing.result("zipped") == {"n": 7}


def test_a_black_box_serves_the_contract_itself(standing: ClusterOfTest) -> None:
    program = Path(__file__).with_name("contract_server.py").read_text(encoding="utf-8")
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as opened:
        entry = zipfile.ZipInfo("exec")
        entry.external_attr = 0o755 << 16
        opened.writestr(entry, program)
    standing.create("box", base64.b64encode(octets.getvalue()).decode(), kind="blackbox", exec={"binary": True})
    assert standing.result("box", {"a": 1}) == {"box": {"a": 1}, "inits": 1}
    assert standing.result("box", {"a": 2}) == {"box": {"a": 2}, "inits": 1}


def test_a_javascript_function_runs(standing: ClusterOfTest) -> None:
    if "nodejs" not in standing.ask("GET", "/api/v1").document["runtimes"]:
        pytest.skip("capability node is missing: no Node is installed")
    code = "async function main (args) { console.log('hi'); return { sum: args.a + args.b } }"
    standing.create("sum", code, kind="nodejs:default")
    reply = standing.invoke("sum", {"a": 2, "b": 3})
    assert reply.document["response"]["result"] == {"sum": 5}
    assert [line.partition(" ")[2] for line in reply.document["logs"]] == ["stdout: hi"]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_cluster_in_the_middle_of_a_run(program: str, number: signal.Signals) -> None:
    before = remains()
    with cluster("--prewarm", "python:3=1", program=program) as running:
        running.create("sleep", "import time\ndef main(args):\n    time.sleep(60)")
        running.ask("POST", "actions/sleep", {})
        wait_until(lambda: running.state()["containers"]["running"] == 1, 20, "a run")
        assert remains() != before
        running.end(number)
    if number is signal.SIGKILL:
        assert dyncast("clean").returncode == 0
    wait_until(lambda: remains() == before, 10, "the machine as it was")
