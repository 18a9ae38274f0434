"""Do both ends of an RTP stream say the same? What a client sent and got back, held against what instances received.

Owns the statements that hold of every stream, whatever the network did to it. Knows no files and no pictures.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from testbed.analysis.run_data.loading import RunData

_STREAM = ["src", "src_port", "ssrc"]
_EVEN_KINDS = ("rtp_audio", "rtp_video")  # that send at one rate from begin to end, as a trace need not
_EVEN_SHARE = (
    0.8  # of the packets of that rate, over the time less a second, the sequence numbers span at least so many
)


def disagreements(run: RunData, killed: Collection[str]) -> tuple[int, pd.DataFrame]:
    """Return how many streams have both ends, and those that disagree: `flow_id` and `why`.

    Instances in `killed` did not write down all.
    """
    ends = _both_ends(run)
    whole = ~ends["service"].isin({item.service for item in run.manifest.instances if item.name in killed})
    # What is written last counts: what came out of nothing explains the rest.
    ends.loc[ends["spanned"] < ends["due"], "why"] = "whose instance overlooked a gap"
    ends.loc[whole & (ends["returned"] > ends["received"]), "why"] = "of which more came back than arrived"
    ends.loc[ends["spanned"] > ends["packets_sent"], "why"] = "whose instance expects more than was sent"
    ends.loc[ends["received"] > ends["packets_sent"], "why"] = "of which more arrived than was sent"
    return len(ends), ends.loc[ends["why"] != "", ["flow_id", "why"]]


def _both_ends(run: RunData) -> pd.DataFrame:
    """Return a row per stream: what was sent, received, returned; what an instance spanned, and what was due then."""
    rtp = run.rtp.dropna(subset=_STREAM)
    rtp = rtp.assign(distinct=rtp["packets_received"] - rtp["duplicates"].fillna(0))
    echo = rtp[rtp["direction"] == "echo"].drop_duplicates("flow_id")[["flow_id", *_STREAM, "distinct"]]
    echo = echo.rename(columns={"distinct": "returned"})
    sent = run.flows[["flow_id", "kind", "service", "packets_sent", "achieved_rate_pps"]].drop_duplicates("flow_id")
    up = rtp[rtp["direction"] == "up"].assign(lasted_s=lambda rows: rows["last_s"] - rows["first_s"])
    received = up.groupby(_STREAM, as_index=False, observed=True).agg(
        received=("distinct", "sum"), spanned=("packets_expected", "max"), rows=("distinct", "size"),
        lasted_s=("lasted_s", "max"),
    )  # fmt: skip
    ends = echo.merge(sent, on="flow_id").merge(received, on=_STREAM)
    is_even = ends["kind"].astype(object).isin(_EVEN_KINDS) & (ends["rows"] == 1)
    due = _EVEN_SHARE * ends["achieved_rate_pps"] * (ends["lasted_s"] - 1.0)
    return ends.assign(due=due.where(is_even).fillna(0.0), why="")
