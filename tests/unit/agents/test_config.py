"""Configuration of instances and metric agents: every mistake is one line that names its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.agents.instance.config import InstanceConfig
from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.normalisation import DEFAULT, MinMax, Normalisation, Sigmoid
from testbed.net.token_bucket import Rate
from testbed.runtime.config import ConfigError
from testbed.runtime.document import ProcessConfig

_IDS = {"d_sid": "203.0.113.10", "d_bid": "10.3.0.10"}


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
    config: InstanceConfig = InstanceConfig.from_document(instance)
    assert (config.name, config.http_port, config.speed) == ("render-1@chicago", 80, 1.0)
    assert config.packet_time.distribution.mean_s == pytest.approx(0.0002)


def test_a_good_agent_is_read_in_both_families(agent: dict[str, Any]) -> None:
    config: MetricAgentConfig = MetricAgentConfig.from_document(agent)
    assert [(url.host, url.port, url.path) for url in (entry.metrics_url for entry in config.instances)] == [
        ("10.3.0.10", 9100, "/metrics"),
        ("fd00::10", 9100, "/metrics"),
    ]


def test_an_agent_that_is_told_no_more_tells_of_everything_at_its_interval(agent: dict[str, Any]) -> None:
    config = MetricAgentConfig.from_document(agent)
    assert config.triggers == Reporting(refresh_s=1.0)
    assert config.polls_each_s == 1.0
    assert [entry.normalisation for entry in config.instances] == [DEFAULT, DEFAULT]


def test_an_agent_is_told_when_to_tell_and_how_to_score(agent: dict[str, Any]) -> None:
    threshold = {"when": "threshold", "refresh_s": 5, "metric": "queue_length", "absolute": 3, "hysteresis_share": 0.5}
    limits = {
        "budget": {"per_s": 2, "burst": 4},
        "dampening": {"half_life_s": 10, "suppress": 3, "reuse": 1, "max_suppress_s": 40},
    }
    config = MetricAgentConfig.from_document({**agent, "poll_interval_s": 0.2, "reporting": {**threshold, **limits}})
    assert config.reporting == Reporting(
        5.0, Threshold("queue_length", 3.0, None, 0.5), Rate(2.0, 4), Dampening(10.0, 3.0, 1.0, 40.0)
    )
    assert config.poll_interval_s == 0.2
    band = {"when": "band", "refresh_s": 5, "edges": [3, 7], "hysteresis_points": 1}
    assert MetricAgentConfig.from_document({**agent, "reporting": band}).reporting == Reporting(5.0, Band((3, 7), 1))
    agent["instances"][0]["normalisation"] = {
        "computing": [{"metric": "cpu_utilisation", "function": "min_max", "worst": 1, "best": 0, "weight": 2}],
        "communication": [],
        "service": [{"metric": "queue_length", "function": "sigmoid", "midpoint": 5, "steepness": -1}],
        "l1_aggregation": "mean",
        "l2_aggregation": "weighted_mean",
        "weights": {"service": 3},
    }
    scored, unscored = MetricAgentConfig.from_document(agent).instances
    assert scored.normalisation == Normalisation(
        (MinMax("cpu_utilisation", 1.0, 0.0, 2.0),), (), (Sigmoid("queue_length", 5.0, -1.0),),
        "mean", "weighted_mean", {"service": 3.0},
    )  # fmt: skip
    assert unscored.normalisation == DEFAULT


@pytest.mark.parametrize("which", ["instance", "agent"])
def test_each_key_is_needed_and_no_other_taken(which: str, request: pytest.FixtureRequest) -> None:
    values: dict[str, Any] = request.getfixturevalue(which)
    kind: type[ProcessConfig] = {"instance": InstanceConfig, "agent": MetricAgentConfig}[which]
    for key in values:
        with pytest.raises(ConfigError, match=f"^{key} is missing"):
            kind.from_document({name: value for name, value in values.items() if name != key})
    with pytest.raises(ConfigError, match=r"^sitee is not a known key; did you mean 'site'\?$"):
        kind.from_document({**values, "sitee": "x"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name must be a string that is not empty"),
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
        InstanceConfig.from_document({**instance, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_router": "10.3.0.1"}, r"d_router must be \[address, port\]"),
        ({"d_router": ["here", 1]}, r"d_router\[0\] must be an IP address"),
        ({"d_router": ["10.0.0.1", 0]}, r"d_router\[1\] must be in 1"),
        ({"interval_s": 0}, "interval_s must be > 0"),
        ({"poll_interval_s": 0}, "poll_interval_s must be > 0"),
        (
            {"reporting": {"when": "always", "refresh_s": 1}},
            r"reporting\.when must be one of interval, threshold, band",
        ),
        ({"reporting": {"when": "interval"}}, r"reporting\.refresh_s is missing"),
        ({"reporting": {"when": "interval", "refresh_s": 1, "metric": "x"}}, r"reporting\.metric is not a known key"),
        (
            {"reporting": {"when": "threshold", "refresh_s": 1, "metric": "queue"}},
            "reporting cannot be used: metric 'queue' .*there are",
        ),
        ({"reporting": {"when": "band", "refresh_s": 1, "edges": [8, 4]}}, "reporting cannot be used: edges must rise"),
        (
            {"reporting": {"when": "interval", "refresh_s": 1, "budget": {"per_s": 1, "burst": 0}}},
            r"budget\.burst must",
        ),
        ({"instances": []}, "instances must be a list of at least one"),
        ({"instances": ["x"]}, r"instances\[0\] must hold a JSON object"),
        ({"instances": [{**_IDS, "metrics_url": "http://[::1/"}]}, r"instances\[0\]\.metrics_url"),
        ({"instances": [{**_IDS, "metrics_url": "ftp://a/"}]}, r"instances\[0\]\.metrics_url must be http://"),
        ({"instances": [{"metrics_url": "http://a/"}]}, r"instances\[0\]\.d_sid is missing"),
    ],
)
def test_a_mistake_in_an_agent(agent: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MetricAgentConfig.from_document({**agent, **change})
