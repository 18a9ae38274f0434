"""The scenario's keys of telling and normalisation: what they come to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.dyncast.metric_agent.conditions import Band, Threshold
from testbed.dyncast.metric_agent.dampening import Dampening
from testbed.dyncast.metric_agent.update_triggers import Reporting
from testbed.dyncast.metrics.normalisation import DEFAULT, MinMax, Normalisation, Sigmoid
from testbed.experiment.systems.dyncast.keys.metric import MetricKeys, NormalisationKeys
from testbed.experiment.systems.dyncast.launch import process_configs
from testbed.net.token_bucket import Rate
from tests.scenarios import small_document, small_plan


def told(out_dir: Path, metrics: dict[str, Any], **service: Any) -> Any:
    """What the D-MA of a small scenario makes of what the run tells it."""
    services = {name: keys | service for name, keys in small_document()["services"].items()}
    planned = small_plan(metrics=metrics, services=services)
    site = planned.instances[0].site
    agent = process_configs.metric_agent(planned, site, out_dir)
    assert agent is not None
    return MetricAgentConfig.from_document(agent.to_document())


def test_unless_told_otherwise_an_agent_tells_of_everything_each_second(tmp_path: Path) -> None:
    config = told(tmp_path, {})
    assert config.reporting == Reporting(refresh_s=1.0)
    assert config.poll_interval_s == 1.0
    assert config.instances[0].normalisation == NormalisationKeys().normalisation() == DEFAULT


def test_a_threshold_reaches_the_agent(tmp_path: Path) -> None:
    telling = {"when": "threshold", "metric": "queue_length", "absolute": 5, "relative": 0.2, "hysteresis_share": 0.5}
    limits: dict[str, Any] = {"budget": {"per_s": 2}, "dampening": {"half_life_s": 10}}
    config = told(tmp_path, {"poll_interval_s": 0.1, "lifetime_s": 12, "telling": {**telling, **limits}})
    assert config.reporting == Reporting(
        4.0, Threshold("queue_length", 5.0, 0.2, 0.5), Rate(2.0, 1), Dampening(10.0, 3.0, 1.0, 60.0)
    )
    assert config.poll_interval_s == 0.1


def test_a_band_reaches_the_agent(tmp_path: Path) -> None:
    assert told(tmp_path, {"telling": {"when": "band", "refresh_s": 3}}).reporting == Reporting(3.0, Band((4, 8)))
    band = {"when": "band", "refresh_s": 3, "edges": [5], "hysteresis_points": 1}
    assert told(tmp_path, {"telling": band}).reporting == Reporting(3.0, Band((5,), 1))


def test_a_service_may_be_scored_in_its_own_way(tmp_path: Path) -> None:
    by_queue = {"service": [{"metric": "queue_length", "function": "sigmoid", "midpoint": 9, "steepness": -1}]}
    by_cpu = {
        "computing": [{"metric": "cpu_utilisation", "worst": 1, "best": 0, "weight": 2}],
        "service": [],
        "l2_aggregation": "weighted_mean",
        "weights": {"computing": 2},
    }
    busy = MinMax("utilisation", worst=1, best=0)
    scored = told(tmp_path, {"normalisation": by_queue}).instances[0].normalisation
    assert scored == Normalisation((busy,), (), (Sigmoid("queue_length", 9, -1),))
    scored = told(tmp_path, {"normalisation": by_queue}, normalisation=by_cpu).instances[0].normalisation
    assert scored == Normalisation(
        (MinMax("cpu_utilisation", 1, 0, 2),), (), (), "min", "weighted_mean", {"computing": 2}
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"interval_s": 15}, "interval_s: reports each 15 s expire after 10 s; raise lifetime_s"),
        ({"telling": {"when": "band", "refresh_s": 10}}, r"telling\.refresh_s: reports each 10 s expire"),
        ({"telling": {"refresh_s": 5}}, "interval takes no refresh_s; interval_s is how often it reports"),
        ({"telling": {"when": "band", "metric": "sessions"}}, "band takes no metric"),
        ({"telling": {"when": "threshold", "metric": "sessions", "edges": [4]}}, "threshold takes no edges"),
        ({"telling": {"when": "threshold", "absolute": 4}}, "threshold needs metric"),
        ({"telling": {"when": "threshold", "metric": "sessions"}}, "needs absolute or relative"),
        ({"telling": {"when": "threshold", "metric": "queue", "absolute": 1}}, "metric 'queue' does not exist"),
        ({"telling": {"when": "band", "edges": [11]}}, r"edges must rise within 1\.\.10"),
        ({"telling": {"dampening": {"suppress": 1}}}, "reuse must be > 0 and below suppress"),
        ({"telling": {"budget": {"per_s": 0.5}}}, r"telling\.budget: 0\.5 reports/s are less than one each 1 s"),
        ({"normalisation": {"computing": [{"metric": "cpu", "worst": 1, "best": 0}]}}, "metric 'cpu' does not exist"),
        ({"normalisation": {"computing": [{"metric": "sessions", "worst": 1}]}}, "min_max needs worst and best"),
        (
            {"normalisation": {"service": [{"metric": "sessions", "function": "sigmoid", "worst": 1}]}},
            "sigmoid needs steepness and midpoint",
        ),
        ({"normalisation": {"computing": [], "service": []}}, "no category has a figure"),
        ({"normalisation": {"weights": {"service": 0}}}, r"weights\.service must be > 0"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MetricKeys.model_validate(keys)
