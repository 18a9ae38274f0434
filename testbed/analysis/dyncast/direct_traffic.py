"""What went between clients and instances by the instance's own address: no steered flows, and no answers to any.

Knows no files and no pictures; the table `direct` is what packet sockets at the clients saw.
"""

from __future__ import annotations

import pandas as pd

from testbed.analysis.flows.consistency import Check
from testbed.analysis.run_data.loading import RunData

_AROUND_S = 1.0  # a client and an instance see a packet that much apart


def direct_flows(run: RunData) -> pd.Series:
    """Tell which rows of `affinity` the clients' direct packets explain.

    Where the ingress rewrites addresses, a steered flow from the same port looks the same to the instance. A row with
    more packets than were sent directly has such a flow in it.
    """
    key = ["proto", "src", "src_port", "dst", "dst_port"]
    direct = run.direct[run.direct["asked"] > 0].rename(columns={"d_bid": "dst"})[[*key, "asked", "first_s", "last_s"]]
    rows = run.affinity[[*key, "packets", "first_s", "last_s"]].reset_index(names="row")
    both = _plain(rows, key).merge(_plain(direct, key), on=key, suffixes=("", "_direct"))
    meets = (both["first_s"] <= both["last_s_direct"] + _AROUND_S) & (
        both["last_s"].fillna(both["first_s"]) >= both["first_s_direct"] - _AROUND_S
    )
    is_all = both["packets"].fillna(0) <= both["asked"]
    return run.affinity.index.to_series().isin(both.loc[meets & is_all, "row"])


def no_d_bid_at_a_client(run: RunData) -> Check:
    """Check that no client received a packet of an instance's own address that it had not asked for by that."""
    leaks = run.direct[run.direct["asked"] == 0]
    detail = f"{len(run.direct):,} conversations with instances at their own addresses"
    if len(leaks):
        first = leaks.iloc[0]
        detail += (
            f", {len(leaks):,} of them answers to nothing asked there, such as {first['proto']} from "
            f"{first['d_bid']} {first['dst_port']} to {first['client']} {first['src_port']}"
        )
    return Check("no client receives packets from a D-BID that it did not ask", leaks.empty, detail)


def _plain(frame: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return a frame whose key merges with that of another: categories differ between tables."""
    return frame.assign(**{column: frame[column].astype(object) for column in key})
