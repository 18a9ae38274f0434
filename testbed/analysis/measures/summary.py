"""What a run amounts to in numbers: tidy data frames per service, site, instance, stream, node.

Owns the definitions of the figures. Computes from loaded tables only; drawing and printing are elsewhere.

* What was due, sampled or decided during the warm-up does not count, but in signalling and faults.
* Completion is that of flows with outcome ok; those that ended otherwise are counted beside it, and RTP
  calls, which last as long as they are meant to, have none.
* Connect time is from the start of a TCP connection to its establishment: one network round trip and,
  for a flow's first packet, its set-up at the ingress.
* Utilisation is the mean of the samples while workloads ran; a site's is weighted by workers.
* RTP `echo` is the round trip: what the client sent and did not get back is lost. `up` is the way to the
  instance by RFC 3550, which cannot know of packets lost before the first or after the last.
  Jitter is the RFC 3550 estimate at the end of each stream, over streams. Delay is over packets; its p95 is
  the mean, over packets, of the 95th percentiles of streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from testbed.analysis.flows.attribution import affinity_violations, directory, seen_flows, served_flows
from testbed.analysis.flows.calls import call_table, calls_by_service
from testbed.analysis.flows.consistency import OUTCOMES, Check, checks_of, classified
from testbed.analysis.run_data.flow_kinds import WAYS, is_request, is_rtp
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.run_data.signalling import signalling
from testbed.analysis.system import systems


@dataclass(frozen=True)
class Summary:
    """The figures of one run; every frame is tidy, one row per thing its name says."""

    run: RunData
    flows: pd.DataFrame  # those that count, with the instance and site that served each, and its outcome_class
    services: pd.DataFrame  # service, kind, offered, one count per outcome, completion_*_ms, connect_mean_ms
    sites: pd.DataFrame  # site, instances, flows, share, utilisation, refused
    instances: (
        pd.DataFrame
    )  # instance, service, site, workers, flows, share (of its service), utilisation, queue_*, refused
    rtp: pd.DataFrame  # service, direction, streams, silent, packets, loss_percent, jitter_*_ms, delay_*_ms
    calls: pd.DataFrame  # service, calls, calls_lost, calls_split, split_percent; of calls with several streams
    faults: pd.DataFrame  # fault, target, begin_s, end_s, and its effects as in faults.csv
    signalling: pd.DataFrame  # kind, nodes, messages, bytes, bytes_per_s
    affinity_violations: pd.DataFrame  # service, proto, src, src_port, dst_port, instances, first_s
    checks: tuple[Check, ...]
    of: Mapping[str, Any]  # the figures of each system that has any, by its name


def summarise(run: RunData) -> Summary:
    """Work out the figures of a run."""
    seen = seen_flows(run)
    offered = classified(served_flows(run, seen))
    flows = run.counting(offered, "due_s")
    instances = _instances(run, flows)
    return Summary(
        run=run,
        flows=flows,
        services=services_of(flows),
        sites=_sites(instances),
        instances=instances,
        rtp=rtp_of(run),
        calls=calls_by_service(call_table(flows, seen)),
        faults=faults_of(run),
        signalling=signalling(run),
        affinity_violations=affinity_violations(run, seen),
        checks=tuple(checks_of(run, offered, seen)),
        of={name: system.figures(run) for name, system in systems().items()},
    )


def services_of(flows: pd.DataFrame) -> pd.DataFrame:
    """Return the `services` of a summary; takes flows that are `classified`."""
    keys = ["service", "kind"]
    counts = flows.groupby([*keys, "outcome_class"], observed=True).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(OUTCOMES), fill_value=0)
    counts.insert(0, "offered", flows.groupby(keys, observed=True).size())
    requests = flows[is_request(flows)]
    completion_ms = requests[requests["outcome_class"] == "ok"].groupby(keys, observed=True)["completion_ms"]
    connect_ms = (requests["connected_s"] - requests["started_s"]) * 1e3
    counts["completion_mean_ms"] = completion_ms.mean()
    for percent in (50, 95, 99):
        counts[f"completion_p{percent}_ms"] = completion_ms.quantile(percent / 100)
    counts["connect_mean_ms"] = connect_ms.groupby([requests[key] for key in keys], observed=True).mean()
    return counts.rename_axis(columns=None).reset_index()


def _instances(run: RunData, flows: pd.DataFrame) -> pd.DataFrame:
    table = directory(run)
    by_instance = flows.groupby("instance", observed=False)
    table["flows"] = by_instance.size().reindex(table.index, fill_value=0)
    of_service = table.groupby("service")["flows"].transform("sum")
    table["share"] = table["flows"] / of_service.where(of_service > 0)
    samples = run.instances[run.instances["time_s"].between(run.counts_from_s, run.end_s)]
    loads = samples.groupby(samples["instance"].astype(object))[["utilisation", "queue_length"]]
    means, maxima = loads.mean().reindex(table.index), loads.max().reindex(table.index)
    table["utilisation"] = means["utilisation"]
    table["queue_mean"], table["queue_max"] = means["queue_length"], maxima["queue_length"]
    refused = flows.loc[flows["outcome_class"] == "refused", "instance"].value_counts()
    table["refused"] = refused.reindex(table.index, fill_value=0)
    return table.reset_index()


def _sites(instances: pd.DataFrame) -> pd.DataFrame:
    workers = instances["workers"].fillna(1).where(instances["utilisation"].notna())
    weighted = instances.assign(weight=workers, load=workers * instances["utilisation"])
    groups = weighted.groupby("site", sort=True)
    sites = groups.agg(instances=("instance", "size"), flows=("flows", "sum"), refused=("refused", "sum"))
    total = sites["flows"].sum()
    sites["share"] = sites["flows"] / total if total else np.nan
    weight = groups["weight"].sum()
    sites["utilisation"] = groups["load"].sum() / weight.where(weight > 0)
    return sites[["instances", "flows", "share", "utilisation", "refused"]].reset_index()


def streams(run: RunData) -> pd.DataFrame:
    """Return one row per stream and direction: `service`, packets expected and lost, jitter and delay in ms.

    A call that was offered but never echoed is there, with all its packets lost and no jitter.
    """
    calls = run.counting(run.flows[is_rtp(run.flows)], "due_s").drop_duplicates("flow_id")
    calls = calls[["flow_id", "service", "packets_sent"]].astype({"service": object})
    rtp = run.rtp.astype({"direction": object, "receiver": object})
    echo = calls.merge(rtp[rtp["direction"] == "echo"], on="flow_id", how="left").assign(direction="echo")
    echo["packets_received"] = echo["packets_received"].fillna(0)
    distinct = echo["packets_received"] - echo["duplicates"].fillna(0)
    echo["packets_expected"] = echo[["packets_sent", "packets_expected"]].max(axis=1)
    echo["packets_lost"] = echo["packets_expected"] - distinct
    others = run.counting(rtp[rtp["direction"] != "echo"], "first_s")
    others = others.assign(service=others["receiver"].map(directory(run)["service"]))
    columns = ["flow_id", "service", "direction", "packets_expected", "packets_received", "packets_lost", "jitter_ms"]
    columns += ["payload_type", "delay_mean_ms", "delay_p95_ms", "delay_max_ms"]
    parts = [part[columns] for part in (echo, others) if not part.empty]
    table = pd.concat(parts, ignore_index=True) if parts else echo[columns]
    expected = table["packets_expected"]
    return table.assign(loss_percent=100 * table["packets_lost"] / expected.where(expected > 0))


def rtp_of(run: RunData) -> pd.DataFrame:
    """Return the `rtp` of a summary."""
    rows = []
    for (service, direction), group in streams(run).groupby(["service", "direction"]):
        expected = group["packets_expected"].sum()
        rows.append(
            {
                "service": service,
                "direction": direction,
                "streams": len(group),
                "silent": int((group["packets_received"] == 0).sum()),
                "packets": expected,
                "loss_percent": 100 * group["packets_lost"].sum() / expected if expected else np.nan,
                "jitter_mean_ms": group["jitter_ms"].mean(),
                "jitter_p95_ms": group["jitter_ms"].quantile(0.95),
                "delay_mean_ms": _mean_over_packets(group, "delay_mean_ms"),
                "delay_p95_ms": _mean_over_packets(group, "delay_p95_ms"),
            }
        )
    columns = ["service", "direction", "streams", "silent", "packets", "loss_percent"]
    return pd.DataFrame(rows, columns=[*columns, "jitter_mean_ms", "jitter_p95_ms", "delay_mean_ms", "delay_p95_ms"])


def _mean_over_packets(group: pd.DataFrame, column: str) -> float:
    packets = group["packets_received"].where(group[column].notna(), 0)
    return float((group[column].fillna(0) * packets).sum() / packets.sum()) if packets.sum() else float("nan")


def with_ways(by_direction: pd.DataFrame) -> pd.DataFrame:
    """Return figures of RTP with `way`: the direction, for people."""
    return by_direction.assign(way=by_direction["direction"].map(lambda direction: WAYS.get(direction, direction)))


def numbered(faults: pd.DataFrame) -> pd.DataFrame:
    """Return the faults with their `number`, by which pictures mark them."""
    return faults.assign(number=np.arange(1, len(faults) + 1))


def faults_of(run: RunData) -> pd.DataFrame:
    """Return the faults, the end of each beside its begin; times are from the start of the workloads."""
    begins = run.faults[run.faults["event"] == "begin"]
    ends = run.faults[run.faults["event"] == "end"].dropna(subset="number").set_index("number")["time_s"]
    faults = begins.assign(begin_s=begins["time_s"] - run.start_s, end_s=begins["number"].map(ends) - run.start_s)
    effects = ["time_to_detect_s", "time_to_tell_all_s", "time_to_steer_away_s", "flows_broken"]
    return faults[["fault", "target", "begin_s", "end_s", *effects]].reset_index(drop=True)
