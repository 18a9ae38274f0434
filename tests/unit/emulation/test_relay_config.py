"""The relay's configuration: what links.py writes it understands; what it cannot use it names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbed.emulation.links.backend import LinkEnd, LinkError, LinkRequest
from testbed.emulation.links.links import create_links
from testbed.emulation.links.relay_link import configuration
from testbed.emulation.relay.config import RelayConfig, RelayEnd
from testbed.emulation.relay.impairment import Impairment
from testbed.runtime.config import ConfigError
from topologies.spec import LinkSpec

SPEC = LinkSpec(delay_ms=10, jitter_ms=1, loss_percent=0.5, rate_mbps=100, queue_packets=50)
A, B = LinkEnd(4711, "eth0", "02:00:00:00:00:01"), LinkEnd(None, "dy12ab-p0")


def test_what_links_write_the_relay_reads(tmp_path: Path) -> None:
    written = json.loads(json.dumps(configuration([LinkRequest(A, B, SPEC, "a - b")], tmp_path, 7).to_document()))
    config = RelayConfig.from_document(written)
    assert (config.name, config.out_dir, config.seed) == ("relay", tmp_path, 7)
    (link,) = config.links
    assert link.label == "a - b"
    assert link.a == RelayEnd(4711, "eth0", "02:00:00:00:00:01")
    assert link.b == RelayEnd(None, "dy12ab-p0", None)
    assert link.impairment == Impairment(10, 1, 0.5, 100, 50)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("seed",), "7", "seed must be an integer, not '7'"),
        (("links",), {}, "links must be a list"),
        (("links", 0), 3, r"links\[0\] must hold a JSON object, not 3"),
        (("links", 0, "delay_ms"), -1, r"links\[0\].delay_ms must be >= 0, not -1"),
        (("links", 0, "delay_ms"), float("nan"), r"links\[0\].delay_ms must be a finite number"),
        (("links", 0, "delay_ms"), True, r"links\[0\].delay_ms must be a finite number"),
        (("links", 0, "loss_percent"), 101, r"links\[0\].loss_percent must be in 0..100"),
        (("links", 0, "rate_mbps"), 0, r"links\[0\].rate_mbps must be > 0"),
        (("links", 0, "queue_packets"), 0, r"links\[0\].queue_packets must be >= 1"),
        (("links", 0, "dalay_ms"), 1, r"links\[0\].dalay_ms is not a known key; did you mean 'delay_ms'"),
        (("links", 0, "a", "interface"), "x" * 16, r"links\[0\].a.interface must be at most 15 bytes"),
        (("links", 0, "b", "mac"), "02:00", r"links\[0\].b.mac must be like"),
        (("links", 0, "b", "netns_pid"), 0, r"links\[0\].b.netns_pid must be >= 1"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, place: tuple[Any, ...], value: object, message: str) -> None:
    values = configuration([LinkRequest(A, B, SPEC, "a - b")], tmp_path, 7).to_document()
    target: Any = values
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(ConfigError, match=message):
        RelayConfig.from_document(values)


@pytest.mark.parametrize("key", ["name", "links"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    values = configuration([LinkRequest(A, B, SPEC, "a - b")], tmp_path, 7).to_document()
    del values[key]
    with pytest.raises(ConfigError, match=f"^{key} is missing$"):
        RelayConfig.from_document(values)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "relay"}'])
def test_the_process_ends_with_code_2_and_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "testbed.emulation.relay", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(str(path)) and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("requests", "backend", "message"),
    [
        ([], "carrier_pigeon", "no link backend 'carrier_pigeon'; there are: netem, relay"),
        (
            [LinkRequest(A, B, SPEC, "x"), LinkRequest(LinkEnd(1, "e"), LinkEnd(2, "e"), SPEC, "x")],
            "relay",
            "called 'x'",
        ),
        ([LinkRequest(A, B, SPEC, "x"), LinkRequest(A, LinkEnd(2, "e"), SPEC, "y")], "relay", "both want .* 'eth0'"),
    ],
)
def test_links_that_contradict_each_other_are_refused_before_any_is_made(
    requests: list[LinkRequest], backend: str, message: str
) -> None:
    with pytest.raises(LinkError, match=message):
        create_links(requests, backend)


@pytest.mark.parametrize("interface", ["", "x" * 16, "a/b", "a b"])
def test_an_interface_name_the_kernel_would_refuse_is_refused(interface: str) -> None:
    with pytest.raises(LinkError, match="1 to 15 bytes"):
        LinkEnd(None, interface)
