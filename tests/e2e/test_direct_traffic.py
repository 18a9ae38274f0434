"""Clients that speak to instances at their own addresses, beside flows that are steered, and answers that leak."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.analysis.flows.consistency import Check, checks
from testbed.analysis.run_data.loading import load
from testbed.records.parts import whole_rows
from tests.leaks import leaks_in
from tests.machine import dyncast, unchanged

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

SERVICES: dict[str, dict[str, Any]] = {
    "rewritten": {"d_sid": "203.0.113.10", "port": 5005},
    "bound": {"d_sid": "203.0.113.11", "port": 5006, "affinity": {"mode": "datapath"}},
    "tunnelled": {"d_sid": "203.0.113.12", "port": 5007, "steering": "tunnel"},
}
# Answers who it is, from the address that it was asked at; "leak" gets an answer from another port, too.
SERVER = """\
import socket, sys
port, name = int(sys.argv[1]), sys.argv[2].encode()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
server.bind(("", port))
other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("up", flush=True)
while True:
    data, ancillary, _, client = server.recvmsg(2000, 100)
    at = ancillary[0][2]
    server.sendmsg([name], [(socket.IPPROTO_IP, 8, bytes(4) + at[8:12] + bytes(4))], 0, client)
    if data == b"leak":
        other.sendto(b"leaked", client)
"""
# By the D-SID, then by each D-BID and by the D-SID again, from one port; which instance answered whom.
CLIENT = """\
import json, socket, sys
d_sid, port, word, d_bids = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4:]
def opened(address):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("", 31000 + port))
    client.connect((address, port))
    client.settimeout(2)
    return client
def ask(client):
    try:
        client.send(word)
        return client.recv(100).decode()
    except OSError:
        return None
steered = opened(d_sid)
said = [ask(steered)]
for d_bid in d_bids:
    with opened(d_bid) as direct:
        said.append(ask(direct))
print(json.dumps([*said, ask(steered)]))
"""
D_BIDS = {"rewritten": ("10.1.0.10", "10.2.0.10"), "bound": ("10.1.0.11", "10.2.0.11"),
          "tunnelled": ("10.1.0.12", "10.2.0.12")}  # fmt: skip


def _run(out: Path, word: str, *, is_direct: bool) -> Path:
    """Run a client of each service; return the run's folder."""
    (out / "client.py").write_text(CLIENT)
    instances = [
        {"service": service, "site": site, "workers": 4,
         "command": [sys.executable, "-u", "server.py", "{port}", "{instance}"],
         "files": {"server.py": SERVER}, "ready": {"output": "^up$"}}
        for service in SERVICES
        for site in ("east", "west")
    ]  # fmt: skip
    workloads = [
        {"name": service, "service": service, "clients": ["east"],
         "command": [sys.executable, str(out / "client.py"), "{d_sid}", "{port}", word,
                     *(D_BIDS[service] if is_direct else ())]}
        for service in SERVICES
    ]  # fmt: skip
    document = {
        "name": "direct",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": {name: {"kind": "command", "protocol": "udp", **keys} for name, keys in SERVICES.items()},
        "instances": instances,
        "clients": [{"site": "east"}],
        "workloads": workloads,
        "policy": "closest",
        "duration_s": 12,
    }
    path = out / "direct.yaml"
    path.write_text(json.dumps(document))
    with unchanged():
        done = dyncast("run", str(path), "--out", str(out / "results"))
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (out / "results" / "direct").iterdir()
    return folder


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _run(tmp_path_factory.mktemp("beside"), "who", is_direct=True)


def _check(folder: Path, name: str) -> Check:
    return next(check for check in checks(load(folder)) if check.name == name)


def _said(folder: Path, service: str) -> list[str | None]:
    rows = [row for row in whole_rows(folder / "commands.csv") if row["workload"] == service]
    said: list[str | None] = json.loads(rows[0]["last_words"])
    return said


@pytest.mark.parametrize("service", SERVICES)
def test_direct_traffic_breaks_no_steered_flow_of_the_same_port(beside: Path, service: str) -> None:
    by_d_sid, at_its_own, at_other, again = _said(beside, service)
    assert by_d_sid == again == f"{service}-1@east"
    assert at_other == f"{service}-1@west"
    if service == "tunnelled":  # else the answer of the one that is bound comes from the D-SID: docs/dyncast/README.md
        assert at_its_own == f"{service}-1@east"


def test_direct_traffic_is_no_steered_flow_and_no_violation(beside: Path) -> None:
    assert [check for check in checks(load(beside)) if not check.ok] == []
    asked = {(row["d_bid"], row["asked"]) for row in whole_rows(beside / "direct.csv")}
    assert asked == {(d_bid, "1") for d_bids in D_BIDS.values() for d_bid in d_bids}


def test_the_same_rows_without_direct_traffic_are_violations(beside: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(beside, tmp_path / "copy")
    header, *_ = (copy / "direct.csv").read_text().splitlines(keepends=True)
    (copy / "direct.csv").write_text(header)
    check = _check(copy, "packets of one flow reach one instance")
    assert not check.ok
    assert "3 by more than one instance" in check.detail


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that the check of all end-to-end tests does not look at."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_an_answer_under_a_d_bid_that_nobody_asked_is_found(elsewhere: Path) -> None:
    folder = _run(elsewhere, "leak", is_direct=False)
    check = _check(folder, "no client receives packets from a D-BID that it did not ask")
    assert not check.ok
    assert "3 of them answers to nothing asked there, such as udp from 10.1.0.1" in check.detail
    assert len(leaks_in(elsewhere)) == 3
