"""Calls of audio and video in a scenario: what they ask of their service, and what processes are told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.experiment.plan.plan import Plan
from testbed.experiment.scenario.file import ScenarioError
from testbed.experiment.systems.dyncast.launch import process_configs, workload_files
from testbed.runtime.lifecycle import load
from tests.scenarios import small_document, small_plan
from traffic import workloads
from traffic.config import GeneratorConfig
from traffic.content.stream_file import Stream
from traffic.workloads import CallWorkload


def with_calls(port: int = 5004, rate_per_s: float = 1.0, **affinity: Any) -> dict[str, Any]:
    document = small_document()
    document["services"]["conference"] |= {"port": port, "affinity": affinity}
    document["workloads"][1] |= {"media": "call", "video_kbps": 300, "arrivals": {"rate_per_s": rate_per_s}}
    return {key: document[key] for key in ("services", "workloads")}


def calls_of(plan: Plan, folder: Path) -> CallWorkload:
    """What the generator of the first client is told, as it reads it."""
    client = plan.clients[0]
    told = workload_files.write(plan, folder, Path())[client.name]
    config = process_configs.generator(plan, client, told, 10.0, folder)
    path = folder / "generator.json"
    path.write_text(json.dumps(config.to_document()))
    (calls,) = (item for item in workloads.read(load(path, GeneratorConfig)) if item.name == "calls")
    assert isinstance(calls, CallWorkload)
    return calls


def test_a_generator_is_told_of_both_streams_and_the_block(tmp_path: Path) -> None:
    calls = calls_of(small_plan(**with_calls(port_block=8)), tmp_path)
    assert (calls.port, calls.port_block, calls.flows_per_arrival) == (5004, 8, 4)
    assert [calls.medium(medium).port for medium in ("audio", "video")] == [5004, 5006]
    assert [calls.medium(medium).kind for medium in ("audio", "video")] == ["rtp_audio", "rtp_video"]
    assert (calls.streams["audio"].payload_type, calls.streams["audio"].clock_rate_hz) == (0, 8_000)
    assert (calls.streams["video"].payload_type, calls.streams["video"].clock_rate_hz) == (96, 90_000)
    assert kbps(calls.streams["video"]) == pytest.approx(300, rel=0.25)  # of payload; headers come on top


def kbps(stream: Stream) -> float:
    return sum(len(packet.data) for packet in stream.packets) * 8 / (stream.period_us / 1e3)


def test_without_blocks_a_call_takes_neighbouring_ports_all_the_same(tmp_path: Path) -> None:
    assert calls_of(small_plan(**with_calls()), tmp_path).port_block == 4


def test_instances_serve_two_pairs_of_ports_where_there_are_calls(tmp_path: Path) -> None:
    def pairs(plan: Plan) -> list[int]:
        configs = [process_configs.instance(plan, item, 0, tmp_path) for item in plan.instances]
        return [config.rtp_pairs for config in configs]

    assert pairs(small_plan(**with_calls())) == [1, 1, 2]
    assert pairs(small_plan()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (with_calls(port=65533), "services.conference.port: calls take 4 ports from 65533 up"),
        (with_calls(port=5006, port_block=4), "ports 5006 to 5009, which are not in one block of 4; take a multiple"),
        (with_calls(rate_per_s=1000), "calls|packets/s from 2 client"),
    ],
)
def test_calls_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        small_plan(**changes)


def test_only_rtp_services_take_calls() -> None:
    document = small_document()
    document["workloads"][0]["media"] = "call"
    with pytest.raises(ScenarioError, match=r"services\.render\.kind: calls need rtp, not http"):
        small_plan(workloads=document["workloads"])
