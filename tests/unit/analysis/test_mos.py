"""The E-model against published values, and its way from the tables of a run to opinion scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.analysis.measures import mos
from testbed.analysis.run_data.loading import load
from tests.analysis_data import Row, write_tables
from tests.small_run import MANIFEST, call, heard


@pytest.mark.parametrize(
    ("rating", "score"),
    [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (100, 4.5)],
)
def test_scores_are_those_of_the_table_in_annex_b_of_g107(rating: float, score: float) -> None:
    assert float(mos.opinion_score(rating)) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize(
    ("delay_ms", "loss_percent", "bpl", "rating"),
    [
        (0, 0, mos.BPL_CONCEALED, 93.2),
        (177.3, 0, mos.BPL_CONCEALED, 93.2 - 4.2552),
        (0, 1, mos.BPL_CONCEALED, 93.2 - 95 / 26.1),
        (0, 1, mos.BPL_PLAIN, 93.2 - 95 / 5.3),
        (0, 100, mos.BPL_PLAIN, 93.2 - 95 * 100 / 104.3),
        (2000, 100, mos.BPL_PLAIN, 0.0),
    ],
)
def test_ratings_by_hand(delay_ms: float, loss_percent: float, bpl: float, rating: float) -> None:
    assert float(mos.r_factor(delay_ms, loss_percent, bpl)) == pytest.approx(rating)


@given(st.floats(0, 400))
def test_impairment_by_delay_is_near_that_of_the_whole_model(delay_ms: float) -> None:
    assert float(mos.r_factor(delay_ms, 0)) == pytest.approx(93.2 - _delay_impairment(delay_ms), abs=4.0)


def _delay_impairment(delay_ms: float) -> float:
    """Return Id = Idte + Idle + Idd of G.107 section 7.4, all other parameters at their defaults."""
    loudness, echo_loss = 65.0, 110.0  # TELR, WEPL
    noise, receive_loudness, basic_rating = -61.18, 2.0, 94.77
    terv = loudness - 40 * math.log10((1 + delay_ms / 10) / (1 + delay_ms / 150)) + 6 * math.exp(-0.3 * delay_ms**2)
    half = (-1.5 * (noise - receive_loudness) - (80 + 2.5 * (terv - 14))) / 2
    talker = (half + math.sqrt(half**2 + 100) - 1) * (1 - math.exp(-delay_ms))
    half = (basic_rating - 10.5 * (echo_loss + 7) * (2 * delay_ms + 1) ** -0.25) / 2
    listener = half + math.sqrt(half**2 + 169)
    if delay_ms <= 100:
        return talker + listener
    x = math.log2(delay_ms / 100)
    return talker + listener + 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)


@given(st.floats(0, 1000), st.floats(0, 100), st.floats(0, 1000), st.floats(0, 100))
def test_more_delay_or_loss_never_sounds_better(delay_ms: float, loss: float, more_ms: float, more: float) -> None:
    better, worse = mos.r_factor([delay_ms, delay_ms + more_ms], [loss, min(100.0, loss + more)])
    assert worse <= better
    assert mos.opinion_score(worse) <= mos.opinion_score(better) + 0.02  # the polynomial dips by that much near R = 0


def test_streams_of_a_run_are_rated_each_way(tmp_path: Path) -> None:
    video: Row = {**call(2, 100, 100), "kind": "rtp_video"}
    run = load(
        write_tables(
            tmp_path / "run",
            {
                "flows": [call(0, 200, 198), call(1, 100, 0), video],
                "rtp": [
                    heard("f0", "echo", 200, 198, 2.0, 40.0) | {"payload_type": 0},
                    heard("", "up", 200, 200, 1.0, 20.0) | {"payload_type": 8, "receiver": "a@x"},
                    heard("", "up", 100, 100, 1.0, 20.0) | {"payload_type": 96},
                    heard("f2", "echo", 100, 100, 1.0, 20.0) | {"payload_type": 96},
                ],
            },
            MANIFEST,
        )
    )
    quality = mos.call_quality(run)
    assert sorted(quality["direction"]) == ["echo", "echo", "up"], "video has no score"
    heard_of = quality.set_index("flow_id").loc["f0"]
    assert heard_of["mouth_to_ear_ms"] == pytest.approx(20 + 40 + 4 * 2.0)
    assert heard_of["r_factor"] == pytest.approx(93.2 - 0.024 * 68 - 95 / 26.1)
    silent = quality.set_index("flow_id").loc["f1"]
    assert (silent["r_factor"], silent["mos"]) == (0.0, 1.0)
    assert np.isnan(silent["mouth_to_ear_ms"])

    by_service = mos.by_service(quality).set_index("direction")
    assert by_service.loc["echo", "streams"] == 2
    assert by_service.loc["echo", "dissatisfied_percent"] == 50.0
    assert by_service.loc["up", "mos_mean"] == pytest.approx(4.37, abs=0.02)


def test_a_run_without_audio_has_no_scores(tmp_path: Path) -> None:
    quality = mos.call_quality(load(write_tables(tmp_path / "run", {}, MANIFEST)))
    assert quality.empty
    assert mos.by_service(quality).empty
