"""What steering cost a run: signalling, by kind and beside what it is for, and state, by where it is kept.

Owns how long a flow counts as bound and what a binding takes. Both are reckoned, not read: from when flows were bound
until their idle timeout after the last packet, and by what `dyncast bench binding_table` measures for each place.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from testbed.analysis.kinds import is_request
from testbed.analysis.load import RunData
from testbed.analysis.signalling import signalling
from testbed.dyncast.name_steering import DNS_TTL

# Bytes that one binding takes: a pair of OpenFlow entries, a connection of the switch, the control process's own entry.
ENTRIES_BYTES, CONNECTION_BYTES, TABLE_BYTES = 1520, 690, 166
_ENTRIES_PER_BINDING = 2
# An entry that idles out is put back once if answers came home in its time: nearly always (docs/decisions/0002).
_TIMEOUTS = {"reactive": 2, "datapath": 1}
_PROBES = ("probe", "probe_reply")
_POLLS = ("poll",)


def costs(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return `what`, `unit` and `value`, one row per figure.

    `flows` are served and classified, `decisions` as of `decided.decided`.
    """
    rows = [*_signalling(run, len(decisions)), *_completion(flows), *_state(run, flows, decisions)]
    return pd.DataFrame(rows, columns=["what", "unit", "value"]).astype({"value": float})


def _signalling(run: RunData, decisions: int) -> Iterator[tuple[str, str, float]]:
    sent = signalling(run).set_index("kind")[["messages", "bytes"]]
    duration_s = run.end_s - run.start_s
    if duration_s <= 0:
        return
    told = sent[~sent.index.isin(_PROBES + _POLLS)].sum()
    for what, of_it in (
        ("metrics", told),
        ("probes", sent[sent.index.isin(_PROBES)].sum()),
        ("polls of instances", sent[sent.index.isin(_POLLS)].sum()),
    ):
        yield what, "bytes/s", of_it["bytes"] / duration_s
        yield what, "messages/s", of_it["messages"] / duration_s
    if decisions:
        yield "metrics", "bytes/decision", told["bytes"] / decisions


def _completion(flows: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    answered = flows[(flows["outcome_class"] == "ok") & is_request(flows)]
    for service, completion_ms in answered.groupby("service", observed=True)["completion_ms"].mean().items():
        yield f"mean completion of {service}", "ms", float(completion_ms)


def _state(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame) -> Iterator[tuple[str, str, float]]:
    """Tell of the fullest switch, connection table and control process: what they held at most, and in which bytes."""
    bindings = _bindings(run, flows, decisions)
    for kept_as, unit, per_binding, bytes_each in (
        ("reactive", "flow entries", _ENTRIES_PER_BINDING, ENTRIES_BYTES),
        ("datapath", "connections", 1, CONNECTION_BYTES),
    ):
        most, place = _fullest(bindings[bindings["mode"] == kept_as])
        if not most:
            continue
        yield f"switch of {place}, at most", unit, most * per_binding
        yield f"switch of {place}, at most", "bytes", most * bytes_each
        yield "switch", "bytes/binding", bytes_each
        if kept_as == "reactive":
            yield f"control process of {place}, at most", "bindings", most
            yield f"control process of {place}, at most", "bytes", most * TABLE_BYTES
            yield "control process", "bytes/binding", TABLE_BYTES


def _bindings(run: RunData, flows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return `place`, `mode`, `from_s` and `until_s` of each binding: as long as the flow that it was made for."""
    services = run.manifest.raw.get("services") or {}
    dispatchers = {item["name"]: item["dispatcher"] for item in run.manifest.clients if item.get("dispatcher")}
    of_flow = decisions.drop_duplicates("flow", keep="last")
    policies = run.manifest.raw.get("policies") or {}
    # Who looks a name up sends to the instance itself: nothing is bound.
    bound = [name for name in services if services[name].get("affinity_timeout_s") and policies.get(name) != DNS_TTL]
    of_flow = of_flow[of_flow["service"].isin(bound)]
    chosen = flows.iloc[of_flow["flow"].to_numpy()]
    mode = of_flow["service"].map(lambda name: services[name].get("affinity_mode", "reactive")).to_numpy(dtype=object)
    idle_s = of_flow["service"].map(lambda name: services[name]["affinity_timeout_s"]).to_numpy(dtype=float)
    behind = chosen["client"].astype(object).map(dispatchers).to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "place": np.where(pd.isna(behind), of_flow["d_router"].to_numpy(dtype=object), behind),
            "mode": mode,
            "from_s": of_flow["time_s"].to_numpy(),
            "until_s": chosen["finished_s"].to_numpy() + idle_s * [_TIMEOUTS.get(each, 1) for each in mode],
        }
    ).dropna()


def _fullest(bindings: pd.DataFrame) -> tuple[int, str]:
    """Return the most bindings that one place had at a time, and which."""
    found = [(_most_at_once(group), str(place)) for place, group in bindings.groupby("place")]
    return max(found, default=(0, ""))


def _most_at_once(bindings: pd.DataFrame) -> int:
    begins_s, ends_s = np.sort(bindings["from_s"].to_numpy()), np.sort(bindings["until_s"].to_numpy())
    bound = np.arange(1, len(begins_s) + 1) - np.searchsorted(ends_s, begins_s, "right")
    return int(bound.max(initial=0))
