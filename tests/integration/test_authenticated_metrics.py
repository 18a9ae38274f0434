"""Forged, replayed and foreign reports against real D-Routers and agents: bindings stay what the agents say."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from testbed.dyncast.messages import codec
from testbed.dyncast.messages.authentication import AUTHENTICATED, Authenticator, Identity, Role
from testbed.dyncast.messages.reports import Report
from testbed.dyncast.metrics.levels import State
from testbed.dyncast_io import keys_file
from testbed.emulation import run_tag
from testbed.emulation.netns.namespaces import entered, socket_in
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.systems.dyncast.launch.process_configs import IN_BAND_PORT
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.machine import unchanged
from tests.scenarios import small_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

_ATTACKER = "client-1@east"
_AGENT = Identity(Role.AGENT, "middle")
_ETH_P_IP = 0x0800
_TRAILER_BYTES = 48


@dataclass(frozen=True)
class Held:
    """A standing testbed whose nodes have keys, seen from the site `east`."""

    testbed: Testbed
    folder: Path

    @property
    def gateway(self) -> str:
        return str(self.testbed.network.plan.site("east").gateway4.ip)

    def attack(self, *messages: bytes) -> None:
        """Send messages in band, from a client's host, to the D-Router of its site."""
        with socket_in(self.testbed.network.pid(_ATTACKER), socket.AF_INET, socket.SOCK_DGRAM) as ours:
            for data in messages:
                ours.sendto(data, (self.gateway, IN_BAND_PORT))

    def overheard(self) -> bytes:
        """A report of the other site's agent, off the wire."""
        with entered(self.testbed.network.pid("east")):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        with tap:
            tap.settimeout(20)
            while True:
                packet = tap.recv(2000)
                data = packet[(packet[0] & 0xF) * 4 + 8 :]
                is_report = data[:3] == bytes([codec.MAGIC, codec.VERSION, codec.MessageType.REPORT | AUTHENTICATED])
                if is_report and codec.read_header(data).site == "middle":
                    return data

    def counted(self, kind: str) -> int:
        rows = [row for row in self._rows("control") if (row["direction"], row["kind"]) == ("local", kind)]
        return int(rows[-1]["messages"]) if rows else 0

    def heard(self) -> list[dict[str, str]]:
        """What the D-Router believed of the other site's instances."""
        return [row for row in self._rows("metrics") if (row["event"], row["source"]) == ("received", "middle")]

    def _rows(self, table: str) -> list[dict[str, str]]:
        return list(whole_rows(self.folder / f"{table}.control@east.part.csv"))


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("testbed")
    plan = small_plan(metrics={"authentication": "hmac", "interval_s": 0.2, "probe_interval_s": 0.2})
    with unchanged(), Testbed(plan, folder, folder / "logs") as testbed:
        keys = run_tag.REGISTER / f"{testbed.tag}.keys"
        yield Held(testbed, folder)
    assert not keys.exists()


def evil(report: bytes) -> bytes:
    """The same report, had all its instances been down, and been so later."""
    body = bytearray(report[:-_TRAILER_BYTES])
    body[2] ^= AUTHENTICATED
    said = codec.decode(bytes(body))
    assert isinstance(said, Report)
    down = tuple(replace(told, state=State.DOWN, raw=None) for told in said.bindings)
    return codec.encode(replace(said, sequence=said.sequence + 100, sent_s=time.monotonic(), bindings=down))


def test_reports_and_probes_of_those_that_have_keys_are_believed(held: Held) -> None:
    before = len(held.heard())
    wait_until(lambda: len(held.heard()) > before + 4, what="reports of the other site")
    path = held.folder / "control.control@east.part.csv"
    wait_until(lambda: "probe_reply" in path.read_text(), what="answers to the other site's probes")
    refused = [kind for kind in ("messages_forged", "messages_replayed", "messages_stale") if held.counted(kind)]
    assert refused == []


def test_what_a_forger_says_is_counted_and_nothing_else(held: Held) -> None:
    report = held.overheard()
    stranger = Authenticator(_AGENT, {_AGENT: os.urandom(32)}, epoch=2**62)
    attacks: dict[str, tuple[Callable[[], bytes], int]] = {
        "messages_forged": (lambda: stranger.sign(evil(report)), 50),
        "messages_unauthenticated": (lambda: evil(report), 40),
        "messages_replayed": (lambda: report, 30),
        "messages_malformed": (lambda: os.urandom(200), 20),
    }
    before = len(held.heard())
    for message, count in attacks.values():
        held.attack(*(message() for _ in range(count)))
    expected = {kind: count for kind, (_, count) in attacks.items()}
    wait_until(lambda: all(held.counted(kind) >= count for kind, count in expected.items()), what="all to be counted")
    wait_until(lambda: len(held.heard()) > before + 10, what="the true agent to be heard as before")
    assert {kind: held.counted(kind) for kind in attacks} == expected
    assert all(row["workers"] for row in held.heard())  # none was ever believed to be down
    answer = held.testbed.network.run(_ATTACKER, ["curl", "-sSi", "http://203.0.113.10/?work_ms=1"], timeout_s=20)
    assert answer.stdout.startswith("HTTP/1.1 200"), answer.stderr


def test_nobody_but_root_can_read_a_key_and_none_is_with_the_results(held: Held) -> None:
    folder = run_tag.REGISTER / f"{held.testbed.tag}.keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    keys = [key for path in folder.iterdir() for key in keys_file.read(path).values()]
    assert len(keys) == 2 * 4 + 2
    for path in held.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(key in content or key.hex().encode() in content for key in keys), path


def test_an_agent_that_was_taken_over_speaks_for_its_site_alone(held: Held) -> None:
    report = held.overheard()
    keys = keys_file.read(run_tag.REGISTER / f"{held.testbed.tag}.keys" / "dma@middle")
    traitor = Authenticator(_AGENT, keys, time.monotonic_ns())
    said = codec.decode(evil(report))
    assert isinstance(said, Report)
    here = next(item for item in small_plan().instances if item.site == "east")
    foreign = replace(said.bindings[0], d_bid=type(said.bindings[0].d_bid)(here.d_bid))
    held.attack(traitor.sign(codec.encode(replace(said, bindings=(foreign,)))))
    wait_until(lambda: held.counted("reports_foreign_d_bid") == 1, what="the report to be refused")
