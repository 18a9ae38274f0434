"""Real applications against a standing testbed: curl and ffmpeg reach a service by its D-SID."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.experiment.launch.testbed import Testbed
from testbed.records.parts import whole_rows
from testbed.runtime.polling import wait_until
from tests.machine import dyncast, unchanged
from tests.scenarios import small_plan

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

Held = tuple[Testbed, Path]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("testbed")
    with unchanged(), Testbed(small_plan(), folder, folder / "logs") as testbed:
        yield testbed, folder


def _affinity(folder: Path) -> list[dict[str, str]]:
    return [row for path in folder.glob("affinity.*.part.csv") for row in whole_rows(path)]


def test_curl_gets_its_answer_from_the_service_address(held: Held) -> None:
    testbed, _ = held
    for _ in range(5):
        done = testbed.network.run("client-1@east", ["curl", "-sSi", "http://203.0.113.10/?work_ms=5"], timeout_s=20)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("HTTP/1.1 200")
        assert "X-Dyncast-Instance: render-1@" in done.stdout


def test_the_binding_table_is_shown_while_a_run_is_up(held: Held) -> None:
    testbed, _ = held
    done = testbed.network.run("client-1@east", ["curl", "-sSi", "http://203.0.113.10/?work_ms=5"], timeout_s=20)
    instance = next(line.split(": ")[1] for line in done.stdout.splitlines() if "X-Dyncast-Instance" in line)
    shown = dyncast("bindings", "east", "--json")
    assert shown.returncode == 0, shown.stderr
    rows = [row for row in json.loads(shown.stdout) if row["run"] == str(testbed.tag)]
    (row,) = [row for row in rows if row["proto"] == "tcp" and row["age_s"] == min(item["age_s"] for item in rows)]
    assert (row["d_router"], row["d_sid"], row["dst_port"]) == ("east", "203.0.113.10", 80)
    assert row["egress"] == instance.partition("@")[2]
    table = dyncast("bindings")
    assert row["d_bid"] in table.stdout and "d_sid" in table.stdout
    refused = dyncast("bindings", "nowhere")
    assert refused.returncode == 1
    assert "there are: east, middle" in refused.stderr


def test_the_service_address_answers_ping_and_an_instance_its_own_address(held: Held) -> None:
    testbed, _ = held
    # This order: while a ping to the D-SID is bound, answers of the same instance to the same client are taken for it.
    for address in ("10.1.0.10", "203.0.113.10"):
        done = testbed.network.run("client-1@east", ["ping", "-c", "2", "-W", "5", address], timeout_s=20)
        assert done.returncode == 0, f"{address}: {done.stdout}"
        assert f"from {address}" in done.stdout


def test_ffmpeg_streams_to_the_service_address_and_flows_reach_one_instance(held: Held) -> None:
    testbed, folder = held
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "sine=frequency=440:duration=3",
               "-ar", "8000", "-ac", "1", "-acodec", "pcm_mulaw", "-f", "rtp", "rtp://203.0.113.11:5004"]  # fmt: skip
    done = testbed.network.run("client-2@east", command, timeout_s=60)
    assert done.returncode == 0, done.stderr

    assert testbed.end_processes() == []  # which makes the instances write what they have seen

    def streams() -> list[dict[str, str]]:
        return [row for row in whole_rows(folder / "rtp.conference-1@middle.part.csv") if row["direction"] == "up"]

    (stream,) = wait_until(streams, 10, "the stream's row")
    assert int(stream["packets_received"]) >= 100  # 3 s of audio
    assert int(stream["packets_lost"]) == 0
    served: dict[tuple[str, ...], set[str]] = {}
    for row in _affinity(folder):
        key = (row["service"], row["proto"], row["src"], row["src_port"], row["dst_port"])
        served.setdefault(key, set()).add(row["instance"])
    assert served
    assert all(len(instances) == 1 for instances in served.values())
