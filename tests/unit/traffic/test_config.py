"""The generator's configuration file: what it takes, and how it says no."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from testbed.runtime.config import ConfigError
from testbed.runtime.lifecycle import load
from traffic.arrivals import file as arrivals_file
from traffic.arrivals.file import Arrival, ArrivalsFileError
from traffic.config import GeneratorConfig
from traffic.content.packets import build_stream
from traffic.workloads import AnyWorkload, CallWorkload, HttpWorkload, RtpWorkload, read


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    arrivals_file.write(tmp_path / "jobs.csv", "work_ms", [Arrival(0.5, 12.5), Arrival(0.25, None)])
    arrivals_file.write(tmp_path / "calls.csv", "duration_s", [Arrival(1.0, 3.0)])
    (tmp_path / "audio.stream").write_bytes(build_stream("audio", 0.1))
    return {
        "name": "client-1",
        "client": "client-1",
        "site": "newyork",
        "source": {"4": "10.1.0.20", "6": "fd00::20"},
        "start_s": 12.5,
        "out_dir": str(tmp_path),
        "workloads": [
            {
                "kind": "http",
                "name": "jobs",
                "service": "render",
                "d_sid": "203.0.113.10",
                "port": 80,
                "arrivals_file": str(tmp_path / "jobs.csv"),
                "timeout_s": 5,
                "request_bytes": 200,
                "response_bytes": 2000,
            },
            {
                "kind": "rtp",
                "name": "calls",
                "service": "conference",
                "d_sid": "2001:db8::11",
                "port": 5004,
                "arrivals_file": str(tmp_path / "calls.csv"),
                "stream_file": str(tmp_path / "audio.stream"),
                "media": "audio",
            },
        ],
    }


def loaded(content: dict[str, Any], tmp_path: Path) -> Any:
    path = tmp_path / "generator.conf"
    path.write_text(json.dumps(content))
    return load(path, GeneratorConfig)


def sent(content: dict[str, Any], tmp_path: Path) -> tuple[AnyWorkload, ...]:
    return read(loaded(content, tmp_path))


def test_a_configuration_is_read_with_its_files(content: dict[str, Any], tmp_path: Path):
    config = loaded(content, tmp_path)
    jobs, calls = read(config)
    assert isinstance(jobs, HttpWorkload)
    assert isinstance(calls, RtpWorkload)
    assert jobs.arrivals == (Arrival(0.25, None), Arrival(0.5, 12.5))
    assert calls.arrivals == (Arrival(1.0, 3.0),)
    assert calls.d_sid == ipaddress.ip_address("2001:db8::11")
    assert (jobs.timeout_s, calls.timeout_s, jobs.kind, calls.kind) == (5, 2, "http", "rtp_audio")
    assert len(calls.stream.packets) == 5
    assert config.source[6] == ipaddress.ip_address("fd00::20")


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ("top", "start_s", "soon", "start_s must be a finite number, not 'soon'"),
        ("top", "strat_s", 1, "strat_s is not a known key; did you mean 'start_s'"),
        ("top", "name", "", "name must be a string that is not empty, not ''"),
        ("top", "out_dir", "/nowhere", "out_dir must be a folder that exists, not '/nowhere'"),
        ("top", "source", {}, "source.4 is missing, and so is source.6: give at least one address"),
        ("top", "source", {"5": "10.0.0.1"}, "source.4 is missing, and so is source.6"),
        ("top", "source", {"4": "10.1.0.20", "5": "10.0.0.1"}, "source.5 is not a known key"),
        ("top", "source", {"4": "fd00::1"}, "source.4 must be an IPv4 address, not 'fd00::1'"),
        ("top", "source", {"4": "10.1.0.20"}, r"workloads\[1\].d_sid 2001:db8::11 needs an IPv6 address in source"),
        ("top", "workloads", "jobs", "workloads must be a list, not 'jobs'"),
        ("top", "workloads", ["jobs"], r"workloads\[0\] must hold a JSON object"),
        ("top", "max_sockets", 0, "max_sockets must be >= 1, not 0"),
        ("top", "name_server", {"address": "ns"}, "name_server.address must be an IP address, not 'ns'"),
        ("http", "host_name", "render.edge.example", r"workloads\[0\].host_name cannot be looked up"),
        ("http", "kind", "ftp", r"workloads\[0\].kind must be one of http, rtp, call, invoke, not 'ftp'"),
        ("http", "port", 0, r"workloads\[0\].port must be in 1..65535, not 0"),
        ("http", "port", True, r"workloads\[0\].port must be an integer"),
        ("http", "d_sid", "render", r"workloads\[0\].d_sid must be an IP address, not 'render'"),
        ("http", "timeout_s", 0, r"workloads\[0\].timeout_s must be > 0, not 0"),
        ("http", "media", "audio", r"workloads\[0\].media is not a known key"),
        ("rtp", "name", "jobs", r"workloads\[1\].name must be its own: another workload is called 'jobs'"),
        ("rtp", "media", "smell", r"workloads\[1\].media must be one of audio, video, not 'smell'"),
    ],
)
def test_errors_name_file_and_key(
    content: dict[str, Any], tmp_path: Path, where: str, key: str, value: object, message: str
):
    target = {"top": content, "http": content["workloads"][0], "rtp": content["workloads"][1]}[where]
    target[key] = value
    with pytest.raises(ConfigError, match=message) as caught:
        loaded(content, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "generator.conf"))
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(content: dict[str, Any], tmp_path: Path):
    del content["workloads"][1]["stream_file"]
    with pytest.raises(ConfigError, match=r"workloads\[1\].stream_file is missing"):
        loaded(content, tmp_path)


@pytest.mark.parametrize(
    ("number", "key", "message"),
    [
        (0, "arrivals_file", r"workloads\[0\].arrivals_file cannot be read: /nowhere: No such file"),
        (1, "stream_file", r"workloads\[1\].stream_file cannot be read: /nowhere: No such file"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_key(
    content: dict[str, Any], tmp_path: Path, number: int, key: str, message: str
):
    content["workloads"][number][key] = "/nowhere"
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        sent(content, tmp_path)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_what_they_should_be(content: dict[str, Any], tmp_path: Path):
    (tmp_path / "audio.stream").write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match=r"stream_file is no stream file: .*audio.stream: not an RTP stream file"):
        sent(content, tmp_path)
    (tmp_path / "calls.csv").write_text("offset_s,duration_s\n1,\n")
    (tmp_path / "audio.stream").write_bytes(build_stream("audio", 0.1))
    with pytest.raises(ConfigError, match=r"arrivals_file must give every call a duration_s > 0"):
        sent(content, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("offset_s\n1\n", "no column work_ms"),
        ("offset_s,work_ms\n,1\n", "line 2: offset_s is empty"),
        ("offset_s,work_ms\n1,1\n2,much\n", "line 3: work_ms must be a number >= 0, not 'much'"),
        ("offset_s,work_ms\ninf,1\n", "line 2: offset_s must be a number >= 0, not 'inf'"),
    ],
)
def test_arrivals_file_errors_name_line_and_column(tmp_path: Path, text: str, message: str):
    path = tmp_path / "arrivals.csv"
    path.write_text(text)
    with pytest.raises(ArrivalsFileError, match=message):
        arrivals_file.read(path, "work_ms")


def calls(content: dict[str, Any], tmp_path: Path, **changes: object) -> dict[str, Any]:
    """Turn the calls of one stream into calls of audio and video."""
    (tmp_path / "video.stream").write_bytes(build_stream("video", 0.1))
    told = content["workloads"][1]
    del told["stream_file"]
    del told["media"]
    told |= {"kind": "call", "audio_file": str(tmp_path / "audio.stream")}
    told |= {"video_file": str(tmp_path / "video.stream"), **changes}
    return content


def test_calls_of_audio_and_video_are_read_with_both_streams(content: dict[str, Any], tmp_path: Path):
    _, told = sent(calls(content, tmp_path, port_block=8), tmp_path)
    assert isinstance(told, CallWorkload)
    assert (told.port_block, told.flows_per_arrival, told.kind) == (8, 4, "call")
    assert [told.medium(medium).stream.payload_type for medium in ("audio", "video")] == [0, 96]
    assert [told.medium(medium).port for medium in ("audio", "video")] == [5004, 5006]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 65533}, r"workloads\[1\].port must leave room for 4 ports from it"),
        ({"port_block": 2}, r"workloads\[1\].port_block must be"),
        ({"video_file": "/nowhere"}, r"workloads\[1\].video_file cannot be read"),
        ({"stream_file": "/nowhere"}, r"workloads\[1\].stream_file is not a known key"),
    ],
)
def test_calls_that_cannot_be_sent_are_refused(
    content: dict[str, Any], tmp_path: Path, changes: dict[str, object], message: str
):
    with pytest.raises(ConfigError, match=message):
        sent(calls(content, tmp_path, **changes), tmp_path)
