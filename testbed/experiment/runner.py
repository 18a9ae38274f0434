"""A run from a plan to its results: build, start, wait until all is known, load, end, collect, judge.

Composes the adapters and owns the order of things; each step is one method. However it ends, nothing is
left on the machine, and the manifest says how it ended.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from testbed.emulation import capabilities, namespaces, run_tag
from testbed.emulation.network import EmulatedNetwork
from testbed.experiment import collect, environment, fidelity, process_configs, scenario, workload_files
from testbed.experiment.live_load import LiveLoad
from testbed.experiment.plan import Plan
from testbed.experiment.processes import Processes, RunError
from testbed.experiment.progress import Progress

_READY_TIMEOUT_S = 60.0
_HEAD_START_S = 3.0  # the processes have started by then, and the paths were probed in peace
_LEAST_FREE_BYTES = 200 * 2**20
_FORMAT = 1


@dataclass(frozen=True)
class RunResult:
    """Where a run's files are, and what it came to."""

    run_dir: Path
    manifest: dict[str, Any]


def run(plan: Plan, source: Path, results: Path, progress: Progress) -> RunResult:
    """Carry out a plan read from `source`; leave its files under `results`.

    Raises RunError, or the adapters' errors, each in one line.
    """
    run_dir = _new_run_dir(results / plan.scenario.name)
    return _Run(plan, source, run_dir, progress).carry_out()


def _new_run_dir(parent: Path) -> Path:
    """Make a folder of this run's own, named by the time."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < _LEAST_FREE_BYTES:
            raise RunError(
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
    def __init__(self, plan: Plan, source: Path, run_dir: Path, progress: Progress) -> None:
        self._plan = plan
        self._scenario = plan.scenario
        self._source = source
        self._run_dir = run_dir
        self._work = run_dir / "work"
        self._progress = progress
        self._manifest: dict[str, Any] = {}
        self._generators: list[str] = []

    def carry_out(self) -> RunResult:
        begun_s = time.monotonic()
        self._work.mkdir()
        (self._run_dir / "scenario.yaml").write_text(scenario.dump(self._scenario), encoding="utf-8")
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
        backends = self._backends()
        tag = run_tag.claim(self._scenario.name)
        self._manifest["run_tag"] = str(tag)
        self._manifest["backends"] = {"datapath": backends.datapath, "link": backends.link}
        configured = workload_files.write(self._plan, self._work / "workloads", self._source.parent)
        network = EmulatedNetwork(
            self._plan.topology,
            self._plan.addresses,
            tag=tag,
            backends=backends,
            work_dir=self._work / "links",
            seed=self._scenario.seed,
        )
        with network:
            network.start(self._progress.phase)
            processes = Processes(network, self._work, self._run_dir / "logs")
            begun_s = time.monotonic()
            self._start_site_processes(network, processes)
            self._wait_for_bindings(processes)
            self._manifest["durations_s"]["network"] = round(network.startup_seconds or 0.0, 3)
            self._manifest["durations_s"]["processes"] = round(time.monotonic() - begun_s, 3)
            cpu_before = environment.CpuTimes.now()
            self._load(processes, configured)
            busy, steal = environment.CpuTimes.now().shares_since(cpu_before)
            unclean = self._end(processes)
        self._manifest["fidelity"] = self._judge(network.links.statistics(), busy, steal, unclean).as_document()
        self._progress.phase("collecting the tables")
        self._manifest["rows"] = collect.collect(self._work, self._run_dir, self._plan)
        self._manifest["links"] = network.links.statistics()
        self._manifest["status"] = "finished"
        shutil.rmtree(self._work)

    # -- before ----------------------------------------------------------------------------------

    def _backends(self) -> capabilities.Backends:
        self._progress.phase("looking at the machine")
        if os.geteuid() != 0:
            raise RunError("a run needs root for namespaces and Open vSwitch: start it with sudo")
        capabilities.start_open_vswitch()
        wanted = self._scenario.emulation
        return capabilities.choose_backends(
            capabilities.probe(),
            datapath=None if wanted.datapath == "auto" else wanted.datapath,
            link=None if wanted.link == "auto" else wanted.link,
        )

    def _first_manifest(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "format": _FORMAT,
            "status": "running",
            "scenario": self._scenario.name,
            "description": self._scenario.description,
            "policy": self._scenario.policy,
            "policies": {name: self._scenario.policy_of(name) for name in self._scenario.services},
            "seed": self._scenario.seed,
            "duration_s": self._scenario.duration_s,
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
                    "d_bid": item.d_bid,
                    "workers": item.keys.workers,
                    "speed": item.keys.speed,
                }
                for item in plan.instances
            ],
            "clients": [
                {"name": client.name, "site": client.site, "address": str(plan.addresses.host(client.name).ipv4.ip)}
                for client in plan.clients
            ],
            "services": {
                name: {"d_sid": str(item.d_sid), "kind": item.kind} for name, item in self._scenario.services.items()
            },
            "environment": environment.describe(),
            "durations_s": {},
        }

    # -- the processes at the sites ----------------------------------------------------------------

    def _start_site_processes(self, network: EmulatedNetwork, processes: Processes) -> None:
        plan = self._plan
        self._progress.phase(f"starting {len(plan.sites)} D-Routers, {len(plan.instances)} instances and their agents")
        for number, item in enumerate(plan.instances):
            document = process_configs.instance(plan, item, number, self._work)
            processes.start(item.host, "testbed.agents.instance", document)
        with ExitStack() as open_sockets:
            ports = dict(zip(plan.sites, _free_ports(len(plan.sites)), strict=True))
            for site in plan.sites:
                in_band = open_sockets.enter_context(self._in_band_socket(network, site))
                bridge = network.bridge(site)
                document = process_configs.control(
                    plan, site, self._work, datapath_id=bridge.datapath_id, openflow_port=ports[site],
                    uplink_port=bridge.uplink_port, in_band_fd=in_band.fileno(),
                )  # fmt: skip
                processes.start(None, "ryu_apps.launcher", document, pass_fds=[in_band.fileno()])
            network.set_controllers(ports)
        processes.wait_ready(processes.names(), _READY_TIMEOUT_S)
        agents = [process_configs.metric_agent(plan, site, self._work) for site in plan.sites]
        for site, agent in zip(plan.sites, agents, strict=True):
            if agent is not None:
                processes.start(site, "testbed.agents.metric_agent", agent)

    @contextmanager
    def _in_band_socket(self, network: EmulatedNetwork, site: str) -> Iterator[socket.socket]:
        address = self._plan.addresses.site(site).gateway4.ip
        with namespaces.socket_in(network.pid(site), socket.AF_INET, socket.SOCK_DGRAM) as in_band:
            in_band.bind((str(address), process_configs.IN_BAND_PORT))
            yield in_band

    def _wait_for_bindings(self, processes: Processes) -> None:
        """Wait until every ingress has heard of every instance: what comes before is start-up, not a result."""
        self._progress.phase("waiting until every D-Router knows every instance")
        expected = {item.d_bid for item in self._plan.instances}

        def known() -> bool:
            return all(expected <= _d_bids_heard(self._work, site) for site in self._plan.sites)

        timeout_s = _READY_TIMEOUT_S + 3 * self._scenario.metrics.interval_s
        if not processes.wait_until(known, timeout_s):
            for site in self._plan.sites:
                missing = sorted(expected - _d_bids_heard(self._work, site))
                if missing:
                    raise RunError(
                        f"D-Router {site} heard nothing of {missing[0]} in {timeout_s:g} s; is there a path?"
                    )

    # -- the load ----------------------------------------------------------------------------------

    def _load(self, processes: Processes, configured: dict[str, list[dict[str, Any]]]) -> None:
        active = [client for client in self._plan.clients if configured[client.name]]
        start_s = time.monotonic() + _HEAD_START_S + 0.15 * len(active)
        self._manifest["start_s"] = start_s
        for client in active:
            document = process_configs.generator(self._plan, client, configured[client.name], start_s, self._work)
            processes.start(client.name, "traffic.generator", document, may_end=True)
        self._generators = [client.name for client in active]
        processes.wait_ready(self._generators, _READY_TIMEOUT_S)
        if time.monotonic() > start_s:
            raise RunError("the generators were not ready in time; the machine is overloaded: fewer clients, or wait")
        flows = f"{len(active)} clients, {self._scenario.duration_s:g} s, policy {self._scenario.policy}"
        self._progress.phase(f"traffic: {flows}; results go to {self._run_dir}")
        live = LiveLoad(self._work, [item.name for item in self._plan.instances])
        longest_s = max((item.timeout_s for item in self._scenario.workloads), default=0.0)

        def done() -> bool:
            self._progress.load(time.monotonic() - start_s, self._scenario.duration_s, live.read())
            return processes.have_ended(self._generators) and time.monotonic() >= start_s + self._scenario.duration_s

        calls_s = self._longest_call_s(configured)
        if not processes.wait_until(
            done, start_s - time.monotonic() + self._scenario.duration_s + longest_s + calls_s + 30
        ):
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

    def _end(self, processes: Processes) -> list[str]:
        """End those that speak before those that listen, so that nothing is cut off."""
        self._progress.phase("ending the run")
        unclean = processes.end(self._generators)
        unclean += processes.end(processes.names("dma@"))
        unclean += processes.end(processes.names("control@"))
        return unclean + processes.end(processes.names())

    def _judge(self, links: dict[str, Any], busy: float, steal: float, unclean: list[str]) -> fidelity.Fidelity:
        generators = {}
        for name in self._generators:
            path = self._work / f"{name}.generator.json"
            document = json.loads(path.read_text(encoding="utf-8"))
            for workload, summary in document["workloads"].items():
                generators[f"{name}/{workload}"] = summary["sending"]
        return fidelity.judge(
            generators=generators,
            links=links,
            cpu_share=busy,
            steal_share=steal,
            unclean=unclean,
        )

    def _write_manifest(self) -> None:
        partial = self._run_dir / "manifest.json.part"
        partial.write_text(json.dumps(self._manifest, indent=1, default=str) + "\n", encoding="utf-8")
        partial.replace(self._run_dir / "manifest.json")


def _d_bids_heard(work: Path, site: str) -> set[str]:
    path = work / f"metrics.control@{site}.part.csv"
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["d_bid"] for row in csv.DictReader(stream) if row["event"] == "received" and row["workers"]}


def _free_ports(count: int) -> list[int]:
    """Return TCP ports that are free now, for the OpenFlow listeners."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def give_to_caller(run_dir: Path) -> None:
    """Hand the results to who called sudo, as the launcher names them in DYNCAST_OWNER (uid:gid)."""
    uid, _, gid = os.environ.get("DYNCAST_OWNER", "").partition(":")
    if uid.isdigit() and gid.isdigit():
        for path in (run_dir.parent, run_dir, *run_dir.rglob("*")):
            os.chown(path, int(uid), int(gid))
