"""Flows of mixed life in each mode: half closed, reset, ports used again, fragments, ICMP errors, silence, hairpins.

Programs of our own at both ends say which instance answered each exchange, so that a packet at another one is an answer
by another name. Links lose nothing here: what was asked and not answered is a loss that nobody accounts for. As root:

    python -m tests.mixed_lives --mode datapath --flows 10000 --packets 1000000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.scenario.file import parse
from tests.leaks import leaks_in
from tests.scenarios import dyncast_plan

TCP, UDP = ("203.0.113.10", 6000), ("203.0.113.11", 6001)
MODES: dict[str, dict[str, Any]] = {
    "reactive": {},
    "datapath": {"affinity": {"mode": "datapath"}},
    "tunnel": {"steering": "tunnel"},
}


@dataclass(frozen=True)
class Size:
    """How much of it: flows, the packets that these are at least, both ways, and how many flows there are at once."""

    flows: int
    packets: int
    at_once: int


SMALL, FULL = Size(flows=400, packets=8_000, at_once=16), Size(flows=10_000, packets=1_000_000, at_once=32)

SERVER = r"""
import json, socket, struct, sys, threading, time
protocol, port, name, d_sid, at = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), *sys.argv[4:]

def hairpin():
    try:
        with socket.create_connection((d_sid, port), 3) as own:
            own.sendall(b"ask\n")
            return b"served" if own.recv(100) else b"refused"
    except (ConnectionError, OSError) as error:
        return b"silent" if isinstance(error, TimeoutError) else b"refused"

def serve(conn):
    try:
        with conn, conn.makefile("rb") as lines:
            for line in lines:
                word = line.strip()
                if word == b"half":  # all that was asked has come; the answer is late
                    lines.read()
                    time.sleep(0.5)
                    conn.sendall(name + b"\n")
                    return
                if word == b"reset":
                    conn.sendall(name + b"\n")
                    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    time.sleep(0.1)
                    return
                conn.sendall((hairpin() if word == b"hairpin" else name) + b"\n")
    except OSError:
        pass

if protocol == "tcp":
    listener = socket.create_server(("", port), backlog=512)
    print("up", flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((at, port))
print("up", flush=True)
while True:
    try:
        data, client = server.recvfrom(65535)
        if data.startswith(b"late"):
            timer = threading.Timer(0.3, server.sendto, (name, client))
            timer.daemon = True
            timer.start()
        else:
            server.sendto(name.ljust(len(data), b"."), client)
    except OSError:  # an error about an earlier datagram
        pass
"""

CLIENT = r'''
import collections, json, queue, socket, struct, sys, threading, time
tcp, udp = (sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[4]))
flows, exchanges, at_once = map(int, sys.argv[5:])
def packets():
    counted = [line.split() for line in open("/proc/net/dev") if ":" in line and "lo:" not in line]
    return sum(int(fields[2]) + int(fields[10]) for fields in counted)

before = packets()
answers = collections.defaultdict(collections.Counter)  # by kind: flows, answered, split, exchanges
lock = threading.Lock()

def connection(port=0):
    conn = socket.socket()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    conn.settimeout(10)
    if port:
        conn.bind(("", port))
    conn.connect(tcp)
    return conn

def asked(conn, lines, word=b"ask"):
    conn.sendall(word + b"\n")
    return lines.readline().strip()

def talk(count, port=0, pause_s=0.0):
    with connection(port) as conn, conn.makefile("rb") as lines:
        said = [asked(conn, lines) for _ in range(count)]
        time.sleep(pause_s)
        return said + [asked(conn, lines)]

def half(_):
    with connection() as conn, conn.makefile("rb") as lines:
        conn.sendall(b"half\n")
        conn.shutdown(socket.SHUT_WR)
        return [lines.readline().strip()]

def reset(_):
    with connection() as conn, conn.makefile("rb") as lines:
        said = [asked(conn, lines)]
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return said

def reset_by_server(_):
    with connection() as conn, conn.makefile("rb") as lines:
        return [asked(conn, lines), asked(conn, lines, b"reset")]

def hairpin(_):
    with connection() as conn, conn.makefile("rb") as lines:
        said = asked(conn, lines, b"hairpin")
        return [b"" if said == b"silent" else b"known at once"]

def datagrams(count, size, pause_s=0.0):
    said = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(udp)
        for number in range(count):
            if number == 1:
                time.sleep(pause_s)
            sock.send(b"x" * size)
            data = sock.recv(65535)
            said.append(data.rstrip(b".") if len(data) == size else b"")
    return said

def late(_):
    """Gone before the answer comes: the host's ICMP error goes to the D-SID, and on to the instance."""
    said = datagrams(1, 100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(udp)
        sock.send(b"late")
    time.sleep(0.6)
    return said

ports = queue.Queue()
for port in range(21000, 21000 + 2 * at_once):
    ports.put(port)

def again(count):
    port = ports.get()
    try:
        return talk(count, port)
    finally:
        ports.put(port)

KINDS = {
    "half closed": half, "reset": reset, "reset by the server": reset_by_server, "hairpin": hairpin,
    "port used again": again, "silent": lambda count: talk(count, pause_s=2.0),
    "datagrams": lambda count: datagrams(count, 100), "fragments": lambda count: datagrams(min(count, 20), 4000),
    "silent datagrams": lambda count: datagrams(count, 100, pause_s=2.0), "ICMP": late,
}

def one(kind):
    try:
        said = KINDS[kind](exchanges)
    except OSError as error:
        said = [b""]
        print(kind, repr(error), file=sys.stderr, flush=True)
    with lock:
        answers[kind].update(flows=1, answered=all(said), split=len(set(filter(None, said))) > 1, exchanges=len(said))

work = queue.Queue()
for number in range(flows):
    work.put([*KINDS][number % len(KINDS)])

def worker():
    while True:
        try:
            kind = work.get_nowait()
        except queue.Empty:
            return
        one(kind)

threads = [threading.Thread(target=worker) for _ in range(at_once)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"packets": packets() - before, "kinds": answers}))
'''


def _document(mode: str) -> dict[str, Any]:
    services = {
        "tcp": {"d_sid": TCP[0], "kind": "command", "port": TCP[1], **MODES[mode]},
        "udp": {"d_sid": UDP[0], "kind": "command", "protocol": "udp", "port": UDP[1], **MODES[mode]},
    }
    instances = [
        {"service": service, "site": site, "workers": 64, "files": {"server.py": SERVER},
         "command": [sys.executable, "-u", "server.py", service, "{port}", "{instance}", services[service]["d_sid"],
                     services[service]["d_sid"] if mode == "tunnel" else "{host}"],
         "ready": {"output": "^up$"}}
        for service in services
        for site in ("east", "west")
    ]  # fmt: skip
    return {
        "name": f"lives-{mode}",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "west": {"at": "Denver"}},
        "services": services,
        "instances": instances,
        "clients": [{"site": "east"}],
        "policy": "round_robin",
        "metrics": {"interval_s": 0.5},
    }


@dataclass(frozen=True)
class Found:
    """What came of the flows: packets at the client, and by kind how many flows there were, answered, split."""

    packets: int
    kinds: dict[str, dict[str, int]]
    leaks: list[str]
    said: str

    def lacking(self) -> dict[str, int]:
        """Return by kind how many flows had an exchange without an answer."""
        return {kind: lack for kind, of in self.kinds.items() if (lack := of["flows"] - of["answered"])}

    def split(self) -> dict[str, int]:
        """Return by kind how many flows were answered by more than one instance."""
        return {kind: of["split"] for kind, of in self.kinds.items() if of["split"]}


def carry_out(mode: str, size: Size, folder: Path) -> Found:
    """Have all flows live in a testbed of their own."""
    plan = dyncast_plan(parse(_document(mode), mode), folder / "lives.yaml")
    program = folder / "client.py"
    program.write_text(CLIENT)
    exchanges = size.packets * 11 // 10 // size.flows  # of flows that have many, for others have few
    arguments = [*map(str, (*TCP, *UDP, size.flows, exchanges, size.at_once))]
    with Testbed(plan, folder, folder / "logs") as testbed:
        done = testbed.network.run("client-1@east", [sys.executable, str(program), *arguments], timeout_s=3000)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Found(found["packets"], found["kinds"], leaks_in(folder), done.stderr)


def main() -> None:
    """Carry out what the command line says; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=MODES, default="datapath")
    parser.add_argument("--flows", type=int, default=SMALL.flows)
    parser.add_argument("--packets", type=int, default=SMALL.packets)
    parser.add_argument("--at-once", type=int, default=FULL.at_once)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = carry_out(asked.mode, Size(asked.flows, asked.packets, asked.at_once), Path(folder))
    print(f"{asked.mode}: {found.packets:,} packets of {asked.flows:,} flows; without answer {found.lacking()}, "
          f"at several instances {found.split()}, leaks {found.leaks}\n{found.said}")  # fmt: skip


if __name__ == "__main__":
    main()
