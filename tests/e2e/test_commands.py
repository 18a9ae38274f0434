"""Programs that others wrote as services and loads: steered, measured, broken and ended like the testbed's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.analysis.flows.consistency import checks
from testbed.analysis.run_data.loading import RunData, load
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.scenario.file import parse
from testbed.experiment.systems.dyncast.faults.operations import RunOperations
from testbed.experiment.systems.dyncast.launch.running import RunningDyncast
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.parts import whole_rows
from testbed.runtime.child_command import descendants, has_ended
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, process_of, unchanged
from tests.scenarios import EXAMPLES, dyncast_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

ECHO = """\
import socket, sys
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("", int(sys.argv[1])))
print("up", flush=True)
while True:
    data, client = echo.recvfrom(2000)
    echo.sendto(data, client)
"""
ASK_ECHO = """\
import socket
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5)
client.connect(("203.0.113.12", 7))
for number in range(5):
    client.send(bytes(100))
    assert len(client.recv(2000)) == 100
print(client.getsockname()[1])
"""
HOLD = "import socket, time; held = socket.create_connection(('203.0.113.10', 8080)); time.sleep(60)"
PAGES = {
    "command": [sys.executable, "-m", "http.server", "{port}", "--bind", "::", "--directory", "{folder}"],
    "files": {"index.html": "{instance}"},
    "ready": {"http": "/"},
}


def document() -> dict[str, Any]:
    instances: list[dict[str, Any]] = []
    for site in ("east", "west"):
        instances += [{"service": service, "site": site, **PAGES} for service in ("web", "hidden")]
        instances.append({"service": "echo", "site": site, "command": [sys.executable, "-u", "echo.py", "{port}"],
                          "files": {"echo.py": ECHO}, "ready": {"output": "^up$"}})  # fmt: skip
    return {
        "name": "programs",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": {
            "web": {"d_sid": "203.0.113.10", "kind": "command", "port": 8080},
            "hidden": {"d_sid": "203.0.113.11", "kind": "command", "port": 8080, "steering": "tunnel"},
            "echo": {"d_sid": "203.0.113.12", "kind": "command", "port": 7, "protocol": "udp",
                     "affinity": {"mode": "datapath"}},
        },
        "instances": instances,
        "clients": [{"site": "east"}],
        "policy": "round_robin",
        "metrics": {"interval_s": 0.5},
    }  # fmt: skip


Held = tuple[Testbed, RunOperations, Path]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("testbed")
    plan: DyncastPlan = dyncast_plan(parse(document(), "programs"), folder / "programs.yaml")
    with unchanged(), Testbed(plan, folder, folder / "logs") as testbed:
        yield testbed, RunOperations(RunningDyncast.of(testbed)), folder


def _ask(testbed: Testbed, address: str) -> tuple[str, str]:
    """Ask for a page; return who answered, and the port that the question came from."""
    command = ["curl", "-sS", "--max-time", "5", "-w", " %{local_port}", f"http://{address}:8080/"]
    done = testbed.network.run("client-1@east", command, timeout_s=20)
    assert done.returncode == 0, done.stderr
    instance, port = done.stdout.split()
    return instance, port


ASKED: list[tuple[str, str]] = []  # who answered which port, for the last test to compare


@pytest.mark.parametrize(("service", "address"), [("web", "203.0.113.10"), ("hidden", "203.0.113.11")])
def test_pages_come_from_instances_that_the_policy_chooses(held: Held, service: str, address: str) -> None:
    testbed, _, _ = held
    asked = [_ask(testbed, address) for _ in range(4)]
    ASKED.extend(asked)
    assert {instance for instance, _ in asked} == {f"{service}-1@east", f"{service}-1@west"}


def test_datagrams_are_answered_by_one_instance_that_the_switch_chose(held: Held) -> None:
    testbed, _, _ = held
    done = testbed.network.run("client-1@east", [sys.executable, "-c", ASK_ECHO], timeout_s=30)
    assert done.returncode == 0, done.stderr
    ASKED.append(("echo", done.stdout.strip()))


def test_sessions_are_counted_and_a_draining_instance_gets_no_more(held: Held) -> None:
    testbed, operations, folder = held
    activity = operations.activity("web-1@east")
    assert activity is not None and (activity.sessions, activity.started) == (0, 2)
    hold = testbed.network.popen(
        "client-1@east",
        [sys.executable, "-c", HOLD],
        name="hold",
        log_path=folder / "hold.log",
    )  # fmt: skip

    def sessions() -> list[int]:
        found = [operations.activity(f"web-1@{site}") for site in ("east", "west")]
        return [item.sessions for item in found if item]

    wait_until(lambda: sorted(sessions()) == [0, 1], 10, "the connection to be a session")
    hold.kill()
    hold.wait()
    wait_until(lambda: sessions() == [0, 0], 10, "the connection to be gone")
    assert operations.set_state("web-1@east", "draining") == ""

    def is_draining() -> bool:
        rows = RunningDyncast.of(testbed).inspect("east", "bindings")
        return any(row["service"] == "web" and row["egress"] == "east" and row["state"] == "draining" for row in rows)

    wait_until(is_draining, 10, "the D-Router to know")
    assert {_ask(testbed, "203.0.113.10")[0] for _ in range(3)} == {"web-1@west"}
    assert operations.set_state("web-1@east", "up") == ""


def _program(folder: Path, instance: str) -> int:
    """Return the process of the program that an instance runs."""
    return descendants(process_of(folder / f"{instance}.json"))[0]


def test_a_crash_takes_the_program_along_and_it_serves_again_when_started_anew(held: Held) -> None:
    testbed, operations, folder = held
    program = _program(folder, "web-1@west")
    operations.kill("web-1@west")
    assert has_ended(program)
    assert operations.start_instance("web-1@west") == ""
    testbed.processes.wait_ready(["web-1@west"], 20)
    wait_until(lambda: operations.router_without("web-1@west") == "", 10, "D-Routers to know it")
    wait_until(lambda: _ask(testbed, "203.0.113.10")[0] == "web-1@west", 10, "an answer from it")


def test_a_program_that_ends_by_itself_ends_the_run_with_its_last_words(held: Held) -> None:
    testbed, _, folder = held
    os.kill(_program(folder, "echo-1@west"), signal.SIGTERM)
    with pytest.raises(RunError) as caught:
        testbed.processes.wait_until(lambda: False, 10)
    message = str(caught.value)
    assert message.startswith("echo-1@west ended with code 1: ")
    assert message.count("echo-1@west: ") == 0
    assert "ended by itself, by SIGTERM: up (all it said: " in message
    testbed.processes.end(["echo-1@west"])


def test_who_saw_which_flow_is_written_down_from_outside(held: Held) -> None:
    testbed, _, folder = held
    assert testbed.end_processes() == []
    seen: dict[tuple[str, str], list[dict[str, str]]] = {}
    for path in folder.glob("affinity.*.part.csv"):
        for row in whole_rows(path):
            seen.setdefault((row["service"], row["src_port"]), []).append(row)
    for instance, port in ASKED[:-1]:
        (row,) = seen[instance.partition("-")[0], port]
        assert (row["instance"], row["proto"], row["dst_port"]) == (instance, "tcp", "8080")
        assert row["dst"] == "203.0.113.11" if instance.startswith("hidden") else row["dst"].startswith("10.")
        assert 0 < float(row["last_s"]) - float(row["first_s"]) < 5
    (row,) = seen["echo", ASKED[-1][1]]
    assert (row["packets"], row["bytes"]) == ("5", "500")


def _run(name: str, out: Path, scenario: Path, *settings: str) -> RunData:
    with unchanged():
        done = dyncast("run", str(scenario), "--out", str(out), *settings, timeout_s=90)
    assert done.returncode == 0, done.stdout + done.stderr
    (run_dir,) = (out / name).iterdir()
    return load(run_dir)


def _logged(run: RunData, instance: str) -> list[tuple[float, str]]:
    """Return when nginx answered, and the client's port."""
    lines = (run.run_dir / "logs" / instance / "access.log").read_text().splitlines()
    d_bid = next(item.d_bid for item in run.manifest.instances if item.name == instance)
    words = [line.split() for line in lines if line.split()[1] != d_bid]  # that is: without the question if it is ready
    return [(float(time_s), port) for time_s, _, port, *_ in words]


def test_nginx_serves_wrk_from_a_scenario_file_alone(tmp_path: Path) -> None:
    for program in ("nginx", "wrk"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: `sudo ./dyncast test` installs it")
    run = _run("nginx-wrk", tmp_path, EXAMPLES / "nginx-wrk.yaml", "--set", "duration_s=8")
    assert [f"{check.name}: {check.detail}" for check in checks(run) if not check.ok] == []
    assert list(run.commands["outcome"]) == ["ok", "ok"]

    logged = {name: _logged(run, name) for name in ("web-1@east", "web-1@west")}
    assert all(logged.values()), {name: len(lines) for name, lines in logged.items()}
    # wrk counts what was answered within its time, nginx also what came too late for it.
    told = sum(json.loads(figures)["requests"] for figures in run.commands["figures"])
    assert 0 < told <= sum(map(len, logged.values()))
    # Each connection is at the instance that the ground truth names, and that was decided for.
    saw = run.affinity.astype({"instance": object})
    for name, lines in logged.items():
        assert {port for _, port in lines} <= set(saw[saw["instance"] == name]["src_port"].astype(str))
    d_bids = {item.d_bid: item.name for item in run.manifest.instances}
    decided = {(str(row.src_port), d_bids[str(row.d_bid)]) for row in run.decisions.itertuples()}
    assert {(port, name) for name, lines in logged.items() for _, port in lines} <= decided
    # The load is in the tables that policies and pictures live on.
    loads = run.instances[run.instances["instance"] == "web-1@east"]
    assert loads["sessions"].max() > 2 and loads["cpu_s"].max() > 0
    reported = run.metrics[(run.metrics["event"] == "sent") & (run.metrics["sessions"] > 0)]
    assert (reported["memory_bytes"] > 0).all() and reported["cpu_utilisation"].max() > 0


def test_generators_faults_captures_and_a_load_that_fails(tmp_path: Path) -> None:
    for program in ("tcpdump", "tshark"):
        if shutil.which(program) is None:
            pytest.skip(f"capability {program} is missing: `sudo ./dyncast test` installs it")
    web = {"service": "web", **PAGES}
    scenario = {
        "name": "mixed",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": {
            "web": {"d_sid": "2001:db8::10", "kind": "command", "port": 8080, "affinity": {"mode": "datapath"}},
            "conference": {"d_sid": "203.0.113.11", "kind": "rtp"},
        },
        "instances": [{**web, "site": "east"}, {**web, "site": "west"}, {"service": "conference", "site": "west"}],
        "clients": [{"site": "east"}],
        "workloads": [
            {"name": "requests", "service": "web", "clients": ["east"], "arrivals": {"rate_per_s": 20}},
            {"name": "calls", "service": "conference", "clients": ["east"], "arrivals": {"rate_per_s": 1},
             "call_duration": {"mean_ms": 1500}},
            {"name": "luckless", "service": "web", "clients": ["east"],
             "command": ["sh", "-c", "echo no luck with {url} >&2; exit 3"]},
            {"name": "endless", "service": "web", "clients": ["east"], "command": "sleep 600",
             "arrivals": {"end_s": 3}},
        ],
        "policy": "round_robin",
        "metrics": {"interval_s": 0.5},
        "faults": [{"at_s": 2, "until_s": 3.5, "kind": "instance_stop", "instance": "web-1@east"}],
        "captures": [
            {"name": "call", "host": "client-1@east", "filter": "udp port 5004"},
            {"name": "uplink", "link": ["east", "New York"], "snap_bytes": 96},
        ],
        "duration_s": 6,
    }  # fmt: skip
    path = tmp_path / "mixed.yaml"
    path.write_text(yaml.safe_dump(scenario))
    run = _run("mixed", tmp_path / "results", path)
    assert [f"{check.name}: {check.detail}" for check in checks(run) if not check.ok] == []

    flows = run.flows[run.flows["workload"] == "requests"]
    assert set(flows["instance"].dropna().astype(object)) == {"web-1@east", "web-1@west"}
    assert (flows["outcome"] == "ok").mean() > 0.8
    assert list(run.faults["event"]) == ["begin", "end"]

    commands = run.commands.set_index("workload")
    assert tuple(commands.loc["luckless", ["outcome", "exit_code"]]) == ("failed", 3)
    assert tuple(commands.loc["endless", ["outcome", "exit_code"]]) == ("ended", -15)
    took_s = commands.loc["endless", "finished_s"] - commands.loc["endless", "started_s"]
    assert 2.9 < took_s < 5
    assert run.manifest.verdict == "invalid"
    assert any("luckless at client-1@east failed: no luck with http://[2001:db8::10]:8080/" in reason
               for reason in run.manifest.reasons)  # fmt: skip

    kept = {item.name: item for item in run.manifest.captures or ()}
    assert (kept["uplink"].packets or 0) > 0 and kept["call"].lost_packets == 0
    decode = ["-r", str(run.run_dir / kept["call"].file), "-d", "udp.port==5004,rtp", "-Y", "rtp.p_type == 0"]
    done = subprocess.run(
        ["tshark", *decode, "-T", "fields", "-e", "rtp.seq"], capture_output=True, text=True, timeout=60, check=True
    )
    sent = run.flows[run.flows["workload"] == "calls"][["packets_sent", "packets_received"]].sum().sum()
    assert len(done.stdout.split()) == sent
