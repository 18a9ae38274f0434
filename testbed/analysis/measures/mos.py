"""How a G.711 call sounds: the E-model of ITU-T G.107, simplified to what a network does to packets.

Owns the formulas and what goes into them. All other parameters of the E-model stand at their defaults, which leaves
R = 93.2 - Id - Ie,eff, and no advantage factor.

* Id, of the delay from mouth to ear, is the fit of R. G. Cole and J. H. Rosenbluth, "Voice over IP performance
  monitoring", ACM CCR 31(2), 2001.
* Ie,eff, of lost packets, is G.107 (2015) section 7.5 for random loss (BurstR = 1). G.113 Appendix I gives Ie = 0 for
  G.711 and the packet-loss robustness Bpl, with and without the loss concealment of G.711 Appendix I.
* The mean opinion score is that of G.107 Annex B, 1 (bad) to 4.5.

From mouth to ear passes the time to fill a packet, the mean delay of the stream, and a playout buffer of four times
its RFC 3550 jitter; what arrives later than that is not counted as lost. `echo` is the way from a speaker by the
instance to a listener, as in a conference, `up` that to the instance. Video has no MOS here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from testbed.analysis.measures.summary import streams
from testbed.analysis.run_data.loading import RunData

BPL_CONCEALED, BPL_PLAIN = 25.1, 4.3
SATISFIED_R = 70.0  # below it, "many users dissatisfied" (G.107 Annex B)

_BEST_R = 93.2
_KNEE_MS = 177.3
_LEAST_MOS, _BEST_MOS = 1.0, 4.5
_PACKET_MS = 20.0
_PLAYOUT_JITTERS = 4.0
_G711_PAYLOAD_TYPES = (0, 8)  # RFC 3551: PCMU, PCMA
_AUDIO_KIND = "rtp_audio"  # of flows that nobody echoed, so that no payload type is known


def r_factor(delay_ms: ArrayLike, loss_percent: ArrayLike, bpl: float = BPL_CONCEALED) -> np.ndarray:
    """Return the transmission rating R, 0 to 93.2, for a delay from mouth to ear and a share of packets lost."""
    delay, loss = np.asarray(delay_ms, dtype=float), np.asarray(loss_percent, dtype=float)
    by_delay = 0.024 * delay + 0.11 * np.maximum(0.0, delay - _KNEE_MS)
    by_loss = 95.0 * loss / (loss + bpl)
    return np.asarray(np.maximum(0.0, _BEST_R - by_delay - by_loss))


def opinion_score(r: ArrayLike) -> np.ndarray:
    """Return the mean opinion score, 1 to 4.5, that a rating stands for."""
    rating = np.clip(np.asarray(r, dtype=float), 0.0, 100.0)
    score = 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating)
    return np.asarray(np.clip(score, _LEAST_MOS, _BEST_MOS))


def call_quality(run: RunData) -> pd.DataFrame:
    """Return one row per G.711 stream and direction: `service`, `mouth_to_ear_ms`, `loss_percent`, `r_factor`, `mos`.

    A stream of which nothing arrived has the worst rating and no delay.
    """
    table = streams(run)
    audio = run.flows.loc[run.flows["kind"] == _AUDIO_KIND, "flow_id"]
    is_g711 = table["payload_type"].isin(_G711_PAYLOAD_TYPES) | table["flow_id"].isin(audio)
    received = table[is_g711.astype(bool)]
    mouth_to_ear_ms = _PACKET_MS + received["delay_mean_ms"] + _PLAYOUT_JITTERS * received["jitter_ms"].fillna(0.0)
    rating = pd.Series(r_factor(mouth_to_ear_ms, received["loss_percent"]), index=received.index).fillna(0.0)
    found = received[["flow_id", "service", "direction", "loss_percent"]]
    return found.assign(mouth_to_ear_ms=mouth_to_ear_ms, r_factor=rating, mos=opinion_score(rating))


def by_service(quality: pd.DataFrame) -> pd.DataFrame:
    """Return `service`, `direction`, `streams`, `mos_mean`, `mos_p5`, `dissatisfied_percent`; takes `call_quality`."""
    rated = quality.assign(dissatisfied=100.0 * (quality["r_factor"] < SATISFIED_R))
    groups = rated.groupby(["service", "direction"], sort=True)
    return groups.agg(
        streams=("mos", "size"),
        mos_mean=("mos", "mean"),
        mos_p5=("mos", lambda scores: scores.quantile(0.05)),
        mouth_to_ear_mean_ms=("mouth_to_ear_ms", "mean"),
        dissatisfied_percent=("dissatisfied", "mean"),
    ).reset_index()
