"""Decisions taken in two steps, the site at the ingress and the instance at the egress, as one.

Owns how the two rows of such a flow in `decisions` are recognized as belonging together. Knows no files and no
pictures.
"""

from __future__ import annotations

import pandas as pd

_FLOW = ["service", "proto", "src", "src_port", "d_sid", "dst_port"]


def as_one(decisions: pd.DataFrame) -> pd.DataFrame:
    """Return decisions with the egress's choice as that of the ingress that had chosen the site before.

    A flow that an ingress assigned to a site and no egress took stays as it is, without a D-BID.
    """
    if not decisions["d_bid"].isna().any():
        return decisions
    ordered = decisions.sort_values("time_s", kind="stable")
    ordered = ordered.assign(d_router=ordered["d_router"].astype(object), is_of_site=ordered["d_bid"].isna())
    flows = ordered.groupby(_FLOW, dropna=False, observed=True, sort=False)
    second = ~ordered["is_of_site"] & flows["is_of_site"].shift(1, fill_value=False)
    first = ordered["is_of_site"] & ~flows["is_of_site"].shift(-1, fill_value=True)
    ordered["d_router"] = flows["d_router"].shift(1).where(second, ordered["d_router"])
    return ordered[~first].drop(columns="is_of_site")
