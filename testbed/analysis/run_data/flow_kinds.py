"""What kind of flow is what: requests, media streams, and the reports on those."""

from __future__ import annotations

import pandas as pd

RTP_KIND_PREFIX = "rtp"
MEDIA_KIND_PREFIXES = (RTP_KIND_PREFIX, "rtcp")
WAYS = {"echo": "there and back", "up": "to the instance"}  # of RTP, by direction


def is_rtp(flows: pd.DataFrame) -> pd.Series:
    """Return which flows are RTP streams."""
    return _begins(flows, (RTP_KIND_PREFIX,))


def is_request(flows: pd.DataFrame) -> pd.Series:
    """Return which flows are requests: neither RTP streams nor their RTCP."""
    return ~_begins(flows, MEDIA_KIND_PREFIXES)


def _begins(flows: pd.DataFrame, prefixes: tuple[str, ...]) -> pd.Series:
    kinds = [kind for kind in flows["kind"].unique() if str(kind).startswith(prefixes)]
    return flows["kind"].isin(kinds)
