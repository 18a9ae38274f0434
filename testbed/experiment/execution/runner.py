"""A run from a plan to its results: build, start, wait until all is known, load, end, collect, judge.

Composes the adapters and owns the order of things; each step is one method. However it ends, nothing is
left on the machine, and the manifest says how it ended.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from testbed.analysis.flows import fault_effects
from testbed.emulation.machine.host_drops import StrayDrops
from testbed.emulation.wiring import link_label
from testbed.experiment.execution import baseline_measures, captures, collect, environment
from testbed.experiment.execution.live_load import LiveLoad
from testbed.experiment.execution.ownership import give_to_caller
from testbed.experiment.faults.injector import Breaker
from testbed.experiment.fidelity import fidelity
from testbed.experiment.fidelity.link_fidelity import IdlePath
from testbed.experiment.fidelity.verdict import Fidelity
from testbed.experiment.launch import command_configs, process_configs, workload_files
from testbed.experiment.launch.processes import RunError
from testbed.experiment.launch.testbed import Testbed
from testbed.experiment.plan.plan import Plan
from testbed.experiment.progress import Progress
from testbed.experiment.scenario import file as scenario_file
from testbed.records.tables import MANIFEST_FORMAT
from testbed.records.writer import RecordWriter
from topologies import yaml_form

_READY_TIMEOUT_S = 60.0
_HEAD_START_S = 3.0  # the processes have started by then, and the paths were probed in peace
_ASKING_ENDS_S = 0.5  # before the traffic
_LEAST_FREE_BYTES = 200 * 2**20

Case = Mapping[str, Any]


@dataclass(frozen=True)
class RunResult:
    """Where a run's files are, and what it came to."""

    run_dir: Path
    manifest: dict[str, Any]


class NoRoomError(RunError):
    """The disk is too full for a run."""


def run(
    plan: Plan, source: Path, results: Path, progress: Progress, *, folder: str | None = None, case: Case | None = None
) -> RunResult:
    """Carry out a plan read from `source`; leave its files under `results`, in `folder` (default: the scenario's name).

    `case`: what the manifest says of the study that the run belongs to. Raises RunError, NoRoomError if the disk is too
    full, or the adapters' errors, each in one line.
    """
    command_configs.check_programs(plan, source)
    run_dir = _new_run_dir(results / (folder or plan.scenario.name))
    return _Run(plan, source, run_dir, progress, case).carry_out()


def _new_run_dir(parent: Path) -> Path:
    """Make a folder of this run's own, named by the time."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < _LEAST_FREE_BYTES:
            raise NoRoomError(
                f"{parent}: {free // 2**20} MiB free; a run wants {_LEAST_FREE_BYTES // 2**20}: make room or use --out"
            )
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = parent / f"{stamp}{suffix}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise RunError(
            f"{parent}: cannot write results there: {error.strerror}; choose another place with --out"
        ) from error
    raise RunError(f"{parent}: too many runs in one second")


class _Run:
    def __init__(self, plan: Plan, source: Path, run_dir: Path, progress: Progress, case: Case | None) -> None:
        self._plan = plan
        self._scenario = plan.scenario
        self._source = source
        self._run_dir = run_dir
        self._work = run_dir / "work"
        self._progress = progress
        self._case = case
        self._manifest: dict[str, Any] = {}
        self._generators: list[str] = []
        self._commands: list[str] = []  # processes of clients whose load somebody else's program makes
        self._idle_paths: list[IdlePath] = []
        self._dropped_before = StrayDrops()
        # Who does real work is meant to be too slow for what it is offered.
        self._deaf = [item.host for item in plan.instances if item.keys.mode == "burn" or item.keys.command]

    def carry_out(self) -> RunResult:
        begun_s = time.monotonic()
        self._work.mkdir()
        (self._run_dir / "scenario.yaml").write_text(scenario_file.dump(self._scenario), encoding="utf-8")
        (self._run_dir / "topology.yaml").write_text(yaml_form.dump(self._plan.topology), encoding="utf-8")
        self._manifest = self._first_manifest()
        self._write_manifest()
        try:
            self._go()
        except BaseException as error:
            self._manifest["status"] = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
            self._manifest["error"] = str(error) or type(error).__name__
            raise
        finally:
            self._manifest["durations_s"]["whole"] = round(time.monotonic() - begun_s, 3)
            with suppress(OSError):  # a full disk must not hide why the run failed
                self._write_manifest()
                give_to_caller(self._run_dir)
        return RunResult(self._run_dir, self._manifest)

    def _go(self) -> None:
        configured = workload_files.write(self._plan, self._work / "workloads", self._source.parent)
        testbed = Testbed(self._plan, self._work, self._run_dir / "logs", self._progress)
        self._manifest["run_tag"] = str(testbed.tag)
        self._manifest["backends"] = {"datapath": testbed.backends.datapath, "link": testbed.backends.link}
        with testbed:
            self._manifest["durations_s"] |= testbed.durations_s
            cpu_before = environment.CpuTimes.now()
            with captures.taken(self._plan, testbed.network, self._run_dir / "captures") as taken:
                self._load(testbed, configured)
            busy, steal = environment.CpuTimes.now().shares_since(cpu_before)
            self._progress.phase("ending the run")
            dropped = testbed.network.stray_drops(self._deaf).since(self._dropped_before)
            unclean = testbed.processes.end([*self._generators, *self._commands]) + testbed.end_processes()
            switch_lost = testbed.network.lost_at_switches()
        links = testbed.network.links.statistics()
        self._manifest["fidelity"] = self._judge(links, switch_lost, busy, steal, unclean, dropped).as_document()
        self._manifest["switch_lost_packets"] = switch_lost
        self._manifest["stray_drops"] = dict(+dropped.dropped)
        self._progress.phase("collecting the tables")
        self._manifest["rows"] = collect.collect(self._work, self._run_dir, self._plan)
        self._manifest["links"] = links
        self._manifest["captures"] = taken
        if self._plan.faults:
            self._progress.phase("working out what the faults did")
            self._write_manifest()
            fault_effects.complete(self._run_dir)
        self._manifest["status"] = "finished"
        shutil.rmtree(self._work)

    # -- before ----------------------------------------------------------------------------------

    def _first_manifest(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "format": MANIFEST_FORMAT,
            "status": "running",
            "scenario": self._scenario.name,
            "description": self._scenario.description,
            "policy": self._scenario.policy,
            "policies": {name: self._scenario.policy_of(name) for name in self._scenario.services},
            "steered_out_of_band": self._steered_out_of_band(),
            "seed": self._scenario.seed,
            "case": self._case,
            "duration_s": self._scenario.duration_s,
            "warm_up_s": self._scenario.warm_up_s,
            "topology": self._scenario.topology,
            "begun_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "sites": [
                {"name": name, "at": self._scenario.sites[name].at if name in self._scenario.sites else name}
                for name in plan.sites
            ],
            "instances": [
                {
                    "name": item.name,
                    "service": item.service,
                    "site": item.site,
                    "host": item.host,
                    "d_bid": item.d_bid,
                    "workers": item.keys.workers,
                    "queue_limit": item.keys.queue_limit,
                    "speed": item.keys.speed,
                    "mode": item.keys.mode,
                }
                for item in plan.instances
            ],
            "clients": [
                {
                    "name": client.name,
                    "site": client.site,
                    "dispatcher": plan.topology.dispatcher_of(client.name),
                    "address": str(plan.addresses.host(client.name).ipv4.ip),
                }
                for client in plan.clients
            ],
            "round_trip_ms": {
                site: {to: plan.path_cost_ms(site, to) for to in sorted({item.site for item in plan.instances})}
                for site in plan.sites
            },
            "services": {
                name: {
                    "d_sid": str(item.d_sid),
                    "kind": item.kind,
                    "flow_fields": list(item.affinity.fields),
                    "port_block": item.affinity.port_block,
                    "affinity_mode": item.affinity.mode,
                    "affinity_timeout_s": item.affinity.timeout_s,
                }
                for name, item in self._scenario.services.items()
            },
            "faults": [fault.document() for fault in plan.faults],
            "environment": environment.describe(),
            "durations_s": {},
        }

    def _steered_out_of_band(self) -> dict[str, str]:
        what = "by the true state of instances, from shared memory, at each decision: a bound, not what networks can do"
        return dict.fromkeys(self._scenario.omniscient_services, what)

    # -- the processes at the sites ----------------------------------------------------------------

    # -- the load ----------------------------------------------------------------------------------

    def _load(self, testbed: Testbed, configured: dict[str, list[dict[str, Any]]]) -> None:
        processes = testbed.processes
        active = [client for client in self._plan.clients if configured[client.name]]
        commands = sum(len(self._plan.clients_of(item)) for item in self._scenario.workloads if item.command)
        start_s = time.monotonic() + _HEAD_START_S + 0.15 * (len(active) + commands)
        self._manifest["start_s"] = start_s
        for client in active:
            document = process_configs.generator(self._plan, client, configured[client.name], start_s, self._work)
            processes.start(client.name, "traffic.generator", document, may_end=True)
        self._generators = [client.name for client in active]
        for client, document in command_configs.loads(self._plan, start_s, self._work, self._run_dir / "logs"):
            processes.start(client.name, command_configs.CLIENT_MODULE, document, may_end=True)
            self._commands.append(document["name"])
        loads = [*self._generators, *self._commands]
        processes.wait_ready(loads, _READY_TIMEOUT_S)
        self._idle_paths = baseline_measures.idle_paths(testbed, self._plan, start_s - _ASKING_ENDS_S)
        self._dropped_before = testbed.network.stray_drops(self._deaf)
        if time.monotonic() > start_s:
            raise RunError("the generators were not ready in time; the machine is overloaded: fewer clients, or wait")
        flows = f"{len(loads)} clients, {self._scenario.duration_s:g} s, policy {self._scenario.policy}"
        self._progress.phase(f"traffic: {flows}; results go to {self._run_dir}")
        self._progress.traffic(self._work, start_s)
        live = LiveLoad(self._work, [item.name for item in self._plan.instances])
        longest_s = max((item.timeout_s for item in self._scenario.workloads), default=0.0)

        calls_s = self._longest_call_s(configured)
        patience_s = start_s - time.monotonic() + self._scenario.duration_s + longest_s + calls_s + 30

        def done() -> bool:
            breaker.go_on()
            self._progress.load(time.monotonic() - start_s, self._scenario.duration_s, live.read())
            return processes.have_ended(loads) and time.monotonic() >= start_s + self._scenario.duration_s

        with RecordWriter(self._work, "faults") as records:
            breaker = Breaker(self._plan, testbed, records, self._progress, start_s)
            try:
                has_ended = processes.wait_until(done, patience_s)
            finally:
                breaker.close()
        if not has_ended:
            raise RunError(
                f"generators still run {longest_s + calls_s + 30:g} s after the last arrival; "
                f"see {self._run_dir / 'logs'}"
            )
        processes.check()

    def _longest_call_s(self, configured: dict[str, list[dict[str, Any]]]) -> float:
        longest_s = 0.0
        for documents in configured.values():
            for document in documents:
                with Path(document["arrivals_file"]).open(newline="", encoding="utf-8") as stream:
                    for row in csv.DictReader(stream):
                        longest_s = max(longest_s, float(row.get("duration_s") or 0.0))
        return longest_s

    # -- after -------------------------------------------------------------------------------------

    def _judge(
        self,
        links: dict[str, Any],
        switch_lost: int,
        busy: float,
        steal: float,
        unclean: list[str],
        dropped: StrayDrops,
    ) -> Fidelity:
        generators = {}
        for name in self._generators:
            path = self._work / f"{name}.generator.json"
            document = json.loads(path.read_text(encoding="utf-8"))
            for workload, summary in document["workloads"].items():
                generators[f"{name}/{workload}"] = summary["sending"]
        judged = fidelity.judge(
            generators=generators,
            links=links,
            switch_lost=switch_lost,
            cpu_share=busy,
            steal_share=steal,
            unclean=unclean,
            link_specs={link_label(link): link.spec for link in self._plan.topology.links},
            paths=self._idle_paths,
            control_delays_ms=baseline_measures.control_delays_ms(self._work, self._manifest["start_s"]),
            stray_drops=dropped.dropped,
            received=dropped.received,
        )
        for failure in command_configs.failed_loads(self._work):
            judged.fail(failure)
        return judged

    def _write_manifest(self) -> None:
        partial = self._run_dir / "manifest.json.part"
        partial.write_text(json.dumps(self._manifest, indent=1, default=str) + "\n", encoding="utf-8")
        partial.replace(self._run_dir / "manifest.json")
