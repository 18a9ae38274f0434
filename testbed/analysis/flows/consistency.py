"""Do the tables of a run agree with each other? Statements that must hold of every sound run.

Owns the consistency checks; a failed one names how many rows and an example. Judges the records, not the
network: refused requests and lost packets are results, a flow that vanished is a fault of the testbed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testbed.analysis.flows.attribution import affinity_violations, moved_flows, seen_flows, served_flows
from testbed.analysis.flows.calls import call_table, wrongly_split
from testbed.analysis.flows.stream_ends import disagreements
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.system import systems

# How flows end, as far as figures go. The generator distinguishes more ways to fail: all of them are `failed`. A flow
# that the end of the run interrupted has not failed; one without an outcome has vanished.
OUTCOMES = ("ok", "refused", "timeout", "interrupted", "failed")
_FAILED = len(OUTCOMES) - 1

# Faults after which an instance has not written all that it saw, and those after which it may restart.
_KILLING = ("instance_crash", "cluster_killed")
_ENDING = ("instance_crash", "instance_stop", "instance_start", "migrate", "cluster_killed")


@dataclass(frozen=True)
class Check:
    """One statement about a run, whether it holds, and the figures."""

    name: str
    ok: bool
    detail: str


def classified(flows: pd.DataFrame) -> pd.DataFrame:
    """Return flows with `outcome_class`, one of OUTCOMES; an absent outcome stays absent."""
    outcome = flows["outcome"].astype("category")
    class_of_code = [OUTCOMES.index(word) if word in OUTCOMES else _FAILED for word in outcome.cat.categories]
    codes = np.append(np.array(class_of_code, dtype="int64"), -1)[outcome.cat.codes]
    return flows.assign(outcome_class=pd.Categorical.from_codes(codes, categories=list(OUTCOMES)))


def checks(run: RunData) -> list[Check]:
    """Hold the tables of a run against each other."""
    seen = seen_flows(run)
    return checks_of(run, classified(served_flows(run, seen)), seen)


def checks_of(run: RunData, flows: pd.DataFrame, seen: pd.DataFrame) -> list[Check]:
    """Do what `checks` does, for who has `flows` (served and classified) and `seen` at hand."""
    killed = _hit_by(run, _KILLING) | _saw_not_all(run)
    return [
        _every_flow_is_accounted_for(flows),
        _flow_ids_are_unique(flows),
        *(_ok_flows_were_seen(flows, seen, proto, killed) for proto in _protocols(flows)),
        _instances_saw_what_they_answered(flows, seen, killed),
        _instances_counted_what_they_answered(run, flows, seen),
        _no_stream_received_more_than_was_sent(run),
        _both_ends_of_a_stream_agree(run),
        _one_instance_per_flow(run, seen),
        _one_instance_per_call(run, flows, seen),
        *(check for system in systems().values() for check in system.checks(run)),
    ]


def _hit_by(run: RunData, kinds: Collection[str]) -> set[str]:
    """Return the instances that the run's faults of some kinds hit."""
    faults = [fault for fault in run.manifest.faults if fault.kind in kinds]
    return {instance for fault in faults for instance in (fault.instance, fault.to) if instance}


def _saw_not_all(run: RunData) -> set[str]:
    """Return the instances at which the machine had no time to look at all packets (docs/applications.md)."""
    control = run.control
    return set(control.loc[control["kind"] == "flow_packets_unseen", "node"].astype(str))


def _commands(run: RunData) -> set[str]:
    """Return the instances that are somebody else's program: they count connections, not answers."""
    commands = {name for name, service in run.manifest.services.items() if service.kind == "command"}
    return {item.name for item in run.manifest.instances if item.service in commands}


def _protocols(flows: pd.DataFrame) -> list[str]:
    return sorted(flows["proto"].dropna().unique())


def _every_flow_is_accounted_for(flows: pd.DataFrame) -> Check:
    counts = flows["outcome_class"].value_counts(sort=False)
    vanished = flows["outcome_class"].isna()
    parts = " + ".join(f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES)
    detail = f"{len(flows):,} offered = {parts}"
    if vanished.any():
        detail += f" + {vanished.sum():,} without an outcome, such as {_example(flows, vanished)}"
    return Check("every flow offered has one outcome", not vanished.any(), detail)


def _flow_ids_are_unique(flows: pd.DataFrame) -> Check:
    twice = flows["flow_id"].duplicated()
    detail = f"{len(flows):,} flows"
    if twice.any():
        detail += f", {twice.sum():,} under an id already taken, such as {_example(flows, twice)}"
    return Check("flow ids are unique", not twice.any(), detail)


def _ok_flows_were_seen(flows: pd.DataFrame, seen: pd.DataFrame, proto: str, killed: Collection[str]) -> Check:
    """Hold every ok flow against the ground truth: some instance saw its key, and it is the one named."""
    ok = (flows["outcome_class"] == "ok") & (flows["proto"] == proto) & ~flows["instance"].isin(killed)
    instance_codes = pd.Series(pd.Categorical(seen["instance"], categories=flows["instance"].cat.categories).codes)
    rows = pd.DataFrame({"flow": seen["flow"], "code": instance_codes})
    rows = rows[rows["flow"] >= 0]
    code_of_flow = flows["instance"].cat.codes.to_numpy().astype("int64")
    rows["agrees"] = rows["code"].to_numpy() == code_of_flow[rows["flow"].to_numpy()]
    agrees = rows.groupby("flow")["agrees"].any()
    unrecorded = ok & ~flows.index.isin(agrees.index)
    elsewhere = ok & flows.index.isin(agrees.index[~agrees])
    detail = f"{ok.sum():,} ok flows"
    if killed:
        detail += f", without those of instances that could not write down all ({', '.join(sorted(killed))})"
    if unrecorded.any():
        detail += f", {unrecorded.sum():,} that no instance saw, such as {_example(flows, unrecorded)}"
    if elsewhere.any():
        detail += (
            f", {elsewhere.sum():,} seen by another instance than the one named, such as {_example(flows, elsewhere)}"
        )
    name = f"every ok {proto.upper()} flow was seen by the instance it names"
    return Check(name, not (unrecorded.any() or elsewhere.any()), detail)


def _instances_saw_what_they_answered(flows: pd.DataFrame, seen: pd.DataFrame, killed: Collection[str]) -> Check:
    """Compare counts per instance: it saw each connection it answered, and no more than were offered."""
    tcp = flows[(flows["proto"] == "tcp") & ~flows["instance"].isin(killed)]
    answered = tcp[tcp["outcome_class"].isin(["ok", "refused"])].dropna(subset="instance")
    answered_count = answered["instance"].value_counts()
    seen_tcp = seen[seen["proto"] == "tcp"]
    seen_count = seen_tcp.drop_duplicates(["key", "flow", "instance"])["instance"].value_counts()
    short = [
        f"{instance} answered {count:,} and saw {seen_count.get(instance, 0):,}"
        for instance, count in answered_count.items()
        if seen_count.get(instance, 0) < count
    ]
    strangers = int((seen_tcp["flow"] < 0).sum())
    total = f"{len(answered):,} TCP flows answered, {int(seen_count.sum()):,} seen"
    detail = total + (f", {strangers:,} of them offered by no generator" if strangers else "")
    return Check("instances saw every TCP flow they answered", not short, "; ".join([detail, *short]))


def _instances_counted_what_they_answered(run: RunData, flows: pd.DataFrame, seen: pd.DataFrame) -> Check:
    """Compare each instance's own counters with the answers clients got before its last sample."""
    left_out = set(seen.loc[seen["proto"] != "tcp", "instance"])  # there, packets are counted too
    left_out |= _hit_by(run, _ENDING)  # it may have begun to count again
    left_out |= _commands(run)
    last = run.instances.sort_values("time_s").drop_duplicates("instance", keep="last").set_index("instance")
    faults, compared = [], 0
    by_instance = flows[flows["proto"] == "tcp"].groupby("instance", observed=True)
    for instance, answered in by_instance:
        if instance in left_out or instance not in last.index:
            continue
        sampled = answered[answered["finished_s"] <= last.at[instance, "time_s"]]
        for outcome, counter in (("ok", "completed"), ("refused", "refused")):
            answered = int((sampled["outcome_class"] == outcome).sum())
            compared += answered
            if last.at[instance, counter] < answered:
                faults.append(
                    f"{instance} counts {last.at[instance, counter]:,.0f} {counter}, clients {answered:,} {outcome}"
                )
    detail = f"{compared:,} answers within the counters of their instances"
    return Check("instances counted every answer that clients got", not faults, "; ".join(faults) or detail)


def _no_stream_received_more_than_was_sent(run: RunData) -> Check:
    rtp = run.rtp.merge(run.flows[["flow_id", "packets_sent"]].drop_duplicates("flow_id"), on="flow_id", how="inner")
    distinct = rtp["packets_received"] - rtp["duplicates"].fillna(0)
    more = distinct > rtp["packets_sent"]
    detail = f"{len(rtp):,} receptions of streams that name their flow"
    if more.any():
        detail += f", {more.sum():,} with more packets than were sent, such as {_example(rtp, more)}"
    return Check("no RTP stream received more than was sent", not more.any(), detail)


def _both_ends_of_a_stream_agree(run: RunData) -> Check:
    streams, wrong = disagreements(run, _hit_by(run, _KILLING))
    detail = f"{streams:,} streams with both ends"
    if len(wrong):
        detail += f", {len(wrong):,} disagree, such as {wrong['flow_id'].iloc[0]!r}, {wrong['why'].iloc[0]}"
    return Check("both ends of an RTP stream agree", wrong.empty, detail)


def _one_instance_per_flow(run: RunData, seen: pd.DataFrame) -> Check:
    moved, broken = len(moved_flows(seen)), affinity_violations(run, seen)
    detail = f"{len(seen.drop_duplicates(['key', 'flow'])):,} flows seen"
    if not run.knows("affinity.ended") and (strangers := int((seen["flow"] < 0).sum())):
        detail += f" (of {strangers:,} that no generator offered, a run of this age does not tell)"
    if moved > len(broken):
        detail += f", {moved - len(broken):,} bound again when their instance was lost"
    if len(broken):
        first = broken.iloc[0]
        detail += (
            f", {len(broken):,} by more than one instance, such as {first['service']} {first['proto']} "
            f"{first['src']}:{first['src_port']} by {first['instances']}"
        )
    return Check("packets of one flow reach one instance", broken.empty, detail)


def _one_instance_per_call(run: RunData, flows: pd.DataFrame, seen: pd.DataFrame) -> Check:
    covered, split = wrongly_split(run, call_table(flows, seen), _hit_by(run, _ENDING))
    detail = f"{covered:,} calls of audio and video, each one flow by its service's identifier"
    if len(split):
        first = split.iloc[0]
        detail += f", {len(split):,} split, such as {first['call']} over {', '.join(sorted(first['served_by']))}"
    return Check("calls that are one flow reach one instance", split.empty, detail)


def _example(frame: pd.DataFrame, mask: pd.Series) -> str:
    return repr(frame.loc[mask.to_numpy(), "flow_id"].iloc[0])
