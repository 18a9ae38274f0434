"""Which instance each decision of a run assigned a flow to, whichever node took it.

Owns what counts as a decision: a row of `decisions` that ended with an instance (site and instance chosen one after the
other are one); where nobody decides flow by flow (the switch spreads flows by weights, or a name server answered before
they began), the begin of each flow. Evaluates nothing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from testbed.analysis.dyncast.decisions.two_step_decisions import as_one
from testbed.analysis.flows.attribution import FLOW_KEY, flows_of
from testbed.analysis.run_data.loading import RunData
from testbed.dyncast.nodes.dns_steering import DNS_TTL

_COLUMNS = ["time_s", "d_router", "service", "instance", "flow"]


def decided(run: RunData, flows: pd.DataFrame) -> pd.DataFrame:
    """Return `time_s`, `d_router`, `service`, `instance` (its name) and `flow` (row number in `flows`).

    `flows` are the run's, with the instance that served each (`attribution.served_flows`). In the order of time.
    """
    one_by_one = _recorded(run, flows)
    begun = flows["started_s"].notna() & flows["instance"].notna() & ~flows["service"].isin(one_by_one["service"])
    rows = np.flatnonzero(begun)
    by_flow = flows.iloc[rows]
    others = pd.DataFrame(
        {
            "time_s": by_flow["started_s"].to_numpy(),
            "d_router": by_flow["ingress"].to_numpy(dtype=object),
            "service": by_flow["service"].to_numpy(dtype=object),
            "instance": by_flow["instance"].to_numpy(dtype=object),
            "flow": rows,
        }
    ).dropna(subset="d_router")
    table = pd.concat([part for part in (one_by_one, others) if len(part)] or [one_by_one], ignore_index=True)
    return table.sort_values("time_s", kind="stable", ignore_index=True)


def _recorded(run: RunData, flows: pd.DataFrame) -> pd.DataFrame:
    """Return what `decisions` says of flows that were offered: of others, such as somebody's curl, nothing is known."""
    names = {item.d_bid: item.name for item in run.manifest.instances if item.d_bid}
    rows = as_one(run.decisions[run.decisions["policy"] != DNS_TTL])
    rows = rows.assign(instance=rows["d_bid"].astype(object).map(names))
    rows = rows.dropna(subset=["instance", "service"])
    _, flow = flows_of(_identifier(run, flows), _identifier(run, rows), rows["time_s"])
    rows = rows.assign(flow=flow)
    rows = rows[rows["flow"] >= 0]
    return rows[_COLUMNS].astype({"d_router": object, "service": object})


def _identifier(run: RunData, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with that part of their flow key alone which identifies flows of their service."""
    ports = {column: rows[column] for column in ("src_port", "dst_port")}
    others = {column: rows[column] for column in FLOW_KEY if column not in ports}
    for name, service in run.manifest.services.items():
        fields, block = service.flow_fields, service.port_block
        of_it = rows["service"] == name
        if fields is None:
            continue
        for column in ports:
            if column not in fields:
                ports[column] = ports[column].mask(of_it)
            elif block > 1:
                ports[column] = ports[column].mask(of_it, ports[column] // block * block)
        for column in ("proto", "src"):
            if column not in fields:
                others[column] = others[column].mask(of_it)
    return rows.assign(**ports, **others)
