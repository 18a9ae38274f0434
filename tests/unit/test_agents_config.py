"""Configuration of instances and metric agents: every mistake is one line that names its key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbed.agents.instance_config import InstanceConfig, instance_config
from testbed.agents.metric_agent_config import MetricAgentConfig, metric_agent_config
from testbed.process_config import ConfigError, Keys, parse


@pytest.fixture
def instance(tmp_path: Path) -> dict[str, Any]:
    return {
        "name": "render-1@chicago",
        "service": "render",
        "site": "chicago",
        "seed": 7,
        "http_port": 80,
        "rtp_port": 5004,
        "admin_port": 9100,
        "workers": 4,
        "queue_limit": 50,
        "speed": 1,
        "service_time": {"distribution": "exponential", "mean_ms": 50},
        "packet_time": {"distribution": "constant", "mean_ms": 0.2},
        "mode": "clock",
        "cpu_limit": None,
        "out_dir": str(tmp_path),
        "sample_interval_s": 0.5,
    }


@pytest.fixture
def agent(tmp_path: Path) -> dict[str, Any]:
    return {
        "name": "dma@chicago",
        "site": "chicago",
        "seed": 7,
        "d_router": ["10.3.0.1", 7000],
        "interval_s": 1.0,
        "instances": [
            {"d_sid": "203.0.113.10", "d_bid": "10.3.0.10", "metrics_url": "http://10.3.0.10:9100/metrics"},
            {"d_sid": "2001:db8::10", "d_bid": "fd00::10", "metrics_url": "http://[fd00::10]:9100/metrics"},
        ],
        "out_dir": str(tmp_path),
    }


def test_a_good_instance_is_read(instance: dict[str, Any]) -> None:
    config: InstanceConfig = parse(instance, instance_config)
    assert (config.name, config.http_port, config.speed) == ("render-1@chicago", 80, 1.0)
    assert config.packet_time.mean_s == pytest.approx(0.0002)


def test_a_good_agent_is_read_in_both_families(agent: dict[str, Any]) -> None:
    config: MetricAgentConfig = parse(agent, metric_agent_config)
    assert [(entry.host, entry.port, entry.path) for entry in config.instances] == [
        ("10.3.0.10", 9100, "/metrics"),
        ("fd00::10", 9100, "/metrics"),
    ]


@pytest.mark.parametrize("which", ["instance", "agent"])
def test_each_key_is_needed_and_no_other_taken(which: str, request: pytest.FixtureRequest) -> None:
    values: dict[str, Any] = request.getfixturevalue(which)
    check: Callable[[Keys], object] = {"instance": instance_config, "agent": metric_agent_config}[which]
    for key in values:
        with pytest.raises(ConfigError, match=f"^{key} is missing"):
            parse({name: value for name, value in values.items() if name != key}, check)
    with pytest.raises(ConfigError, match=r"^sitee is not a known key; did you mean 'site'\?$"):
        parse({**values, "sitee": "x"}, check)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a/b"}, "name must be fit for a file name"),
        ({"seed": "7"}, "seed must be an integer, not '7'"),
        ({"http_port": 0}, r"http_port must be in 1\.\.65535, not 0"),
        ({"http_port": None, "rtp_port": None}, "give at least one"),
        ({"http_port": 9100}, "http_port and admin_port are both 9100"),
        ({"rtp_port": 65535}, "no port above it for RTCP"),
        ({"workers": True}, "workers must be an integer"),
        ({"workers": 0}, "workers must be >= 1"),
        ({"speed": 0}, "speed must be > 0"),
        ({"mode": "dream"}, "mode must be one of clock, burn"),
        ({"cpu_limit": 0.5}, "cpu_limit needs mode 'burn'"),
        ({"service_time": 5}, "service_time must hold a JSON object, not 5"),
        ({"service_time": {"distribution": "normal"}}, r"service_time\.distribution must be one of"),
    ],
)
def test_a_mistake_in_an_instance(instance: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({**instance, **change}, instance_config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_router": "10.3.0.1"}, r"d_router must be \[address, port\]"),
        ({"d_router": ["here", 1]}, r"d_router\[0\] must be an IP address"),
        ({"d_router": ["10.0.0.1", 0]}, r"d_router\[1\] must be in 1"),
        ({"interval_s": 0}, "interval_s must be > 0"),
        ({"instances": []}, "instances must be a list of at least one"),
        ({"instances": ["x"]}, r"instances\[0\] must hold a JSON object"),
        ({"instances": [{"metrics_url": "http://[::1/"}]}, r"instances\[0\]\.metrics_url"),
        ({"instances": [{"metrics_url": "ftp://a/"}]}, r"instances\[0\]\.metrics_url must be http://"),
        ({"instances": [{"metrics_url": "http://a/"}]}, r"instances\[0\]\.d_sid is missing"),
    ],
)
def test_a_mistake_in_an_agent(agent: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse({**agent, **change}, metric_agent_config)
