"""Calls of several streams: was each served by one instance?

Owns what a split call is: one whose flows, RTP or RTCP, reached more than one instance (section 4.4 of the CFN-Dyncast
architecture asks that audio and video of a call do not). The `affinity` table is the ground truth. Where a flow is a
5-tuple calls may split, and that is a result; where its identifier covers all ports of a call, it is a violation.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from testbed.analysis.run_data.loading import RunData
from testbed.records.manifest import ServiceEntry

_FLOWS_PER_CALL = 4  # audio and video, and the RTCP of each


def call_table(flows: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return one row per call: `service`, `flows` offered, `reached` (of them), `instances` (how many), `is_split`."""
    of_calls = flows.dropna(subset="call")[["call", "service"]].astype({"service": object})
    table = of_calls.groupby("call", sort=False).agg(service=("service", "first"), flows=("service", "size"))
    received = seen[seen["flow"].isin(of_calls.index)]
    calls = of_calls["call"].reindex(received["flow"]).to_numpy()
    received = received.assign(call=calls, instance=received["instance"].astype(object))
    reached = received.groupby("call").agg(
        reached=("flow", "nunique"), instances=("instance", "nunique"), served_by=("instance", frozenset)
    )
    table = table.join(reached)
    counts = ["reached", "instances"]
    table[counts] = table[counts].fillna(0).astype("int64")
    return table.assign(is_split=table["instances"] > 1).reset_index()


def calls_by_service(table: pd.DataFrame) -> pd.DataFrame:
    """Return `service`, `calls`, `calls_lost` (no instance received them), `calls_split`, `split_percent`."""
    groups = table.assign(is_lost=table["instances"] == 0).groupby("service", sort=True)
    counts = groups.agg(calls=("call", "size"), calls_lost=("is_lost", "sum"), calls_split=("is_split", "sum"))
    return counts.assign(split_percent=100 * counts["calls_split"] / counts["calls"]).reset_index()


def wrongly_split(run: RunData, table: pd.DataFrame, hit: Collection[str]) -> tuple[int, pd.DataFrame]:
    """Return how many calls one flow identifier covers, and those of them that are split for no good reason.

    A fault that `hit` one of a call's instances is a good one.
    """
    services = {name for name, service in run.manifest.services.items() if _covers_calls(service)}
    covered = table[table["service"].isin(services)]
    split = covered[covered["is_split"]]
    excused = split["served_by"].map(lambda instances: not instances.isdisjoint(hit)).astype(bool)
    return len(covered), split[~excused]


def _covers_calls(service: ServiceEntry) -> bool:
    if service.flow_fields is None:
        return False
    return service.port_block >= _FLOWS_PER_CALL or not {"src_port", "dst_port"} & set(service.flow_fields)
