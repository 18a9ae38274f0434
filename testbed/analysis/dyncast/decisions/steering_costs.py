"""What steering cost a run: signalling, by kind and beside what it is for, and state, by where it is kept.

Owns how long a flow counts as bound and what a binding takes. Both are reckoned, not read: from when flows were bound
until their idle timeout after the last packet, and by what `dyncast bench binding_table` measures for each place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from testbed.analysis.run_data.flow_kinds import is_request
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.signalling import signalling
from testbed.dyncast.nodes.dns_steering import DNS_TTL

# Bytes that one binding takes: a pair of OpenFlow entries, a connection of the switch, the control process's own entry.
ENTRIES_BYTES, CONNECTION_BYTES, TABLE_BYTES = 1520, 690, 166
D_ROUTER, DISPATCHER = "D-Router", "Dispatcher"
_ENTRIES_PER_BINDING = 2
# An entry that idles out is put back once if answers came home in its time: nearly always (docs/decisions/0002).
_TIMEOUTS = {"reactive": 2, "datapath": 1}
_PROBES = ("probe", "probe_reply")
_POLLS = ("poll",)


def peak_bindings(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return the most bindings that were held at a time: `place`, `kept_by` (a role), `mode`, `bindings`.

    `flows` are served and classified, `decisions` as of `decisions.decided`.
    """
    groups = _bindings(run, flows, decisions).groupby(["place", "kept_by", "mode"], sort=True)
    rows = [(*place, _most_at_once(group)) for place, group in groups]
    return pd.DataFrame(rows, columns=["place", "kept_by", "mode", "bindings"])


def costs(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame, peaks: pd.DataFrame) -> pd.DataFrame:
    """Return `what`, `unit` and `value`, one row per figure; `peaks` is of `peak_bindings`, the others as there."""
    rows = [
        *_signalling(run, len(decisions)),
        *_completion(run.counting(flows, "due_s")),
        *_state(peaks),
    ]
    return pd.DataFrame(rows, columns=["what", "unit", "value"]).astype({"value": float})


def _signalling(run: RunData, decisions: int) -> Iterator[tuple[str, str, float]]:
    sent = signalling(run).set_index("kind")[["messages", "bytes"]]
    duration_s = run.end_s - run.start_s
    if duration_s <= 0:
        return
    reports = sent[~sent.index.isin(_PROBES + _POLLS)].sum()
    for what, of_it in (
        ("metrics", reports),
        ("probes", sent[sent.index.isin(_PROBES)].sum()),
        ("polls of instances", sent[sent.index.isin(_POLLS)].sum()),
    ):
        yield what, "bytes/s", of_it["bytes"] / duration_s
        yield what, "messages/s", of_it["messages"] / duration_s
    if decisions:
        yield "metrics", "bytes/decision", reports["bytes"] / decisions


def _completion(flows: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    answered = flows[(flows["outcome_class"] == "ok") & is_request(flows)]
    for service, completion_ms in answered.groupby("service", observed=True)["completion_ms"].mean().items():
        yield f"mean completion of {service}", "ms", float(completion_ms)


def _state(peaks: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Return what the fullest switch, connection table and control process held at most, and in which bytes."""
    for kept_as, unit, per_binding, bytes_each in (
        ("reactive", "flow entries", _ENTRIES_PER_BINDING, ENTRIES_BYTES),
        ("datapath", "connections", 1, CONNECTION_BYTES),
    ):
        places = peaks[peaks["mode"] == kept_as]
        if places.empty:
            continue
        place, most = places.loc[places["bindings"].idxmax(), ["place", "bindings"]]
        yield f"switch of {place}, at most", unit, most * per_binding
        yield f"switch of {place}, at most", "bytes", most * bytes_each
        yield "switch", "bytes/binding", bytes_each
        if kept_as == "reactive":
            yield f"control process of {place}, at most", "bindings", most
            yield f"control process of {place}, at most", "bytes", most * TABLE_BYTES
            yield "control process", "bytes/binding", TABLE_BYTES


def _bindings(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return `place`, `kept_by`, `mode`, `from_s` and `until_s` of each binding: as long as its flow is there."""
    services = run.manifest.services
    dispatchers = {item.name: item.dispatcher for item in run.manifest.clients if item.dispatcher}
    of_flow = decisions.drop_duplicates("flow", keep="last")
    policies = run.manifest.policies
    # Who looks a name up sends to the instance itself: nothing is bound.
    bound = [name for name in services if services[name].affinity_timeout_s and policies.get(name) != DNS_TTL]
    of_flow = of_flow[of_flow["service"].isin(bound)]
    chosen = flows.iloc[of_flow["flow"].to_numpy()]
    mode = of_flow["service"].map(lambda name: services[name].affinity_mode).to_numpy(dtype=object)
    idle_s = of_flow["service"].map(lambda name: services[name].affinity_timeout_s).to_numpy(dtype=float)
    behind = chosen["client"].astype(object).map(dispatchers).to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "place": np.where(pd.isna(behind), of_flow["d_router"].to_numpy(dtype=object), behind),
            "kept_by": np.where(pd.isna(behind), D_ROUTER, DISPATCHER),
            "mode": mode,
            "from_s": of_flow["time_s"].to_numpy(),
            "until_s": chosen["finished_s"].to_numpy() + idle_s * [_TIMEOUTS.get(each, 1) for each in mode],
        }
    ).dropna()


def _most_at_once(bindings: pd.DataFrame) -> int:
    begins_s, ends_s = np.sort(bindings["from_s"].to_numpy()), np.sort(bindings["until_s"].to_numpy())
    bound = np.arange(1, len(begins_s) + 1) - np.searchsorted(ends_s, begins_s, "right")
    return int(bound.max(initial=0))
