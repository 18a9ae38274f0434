"""What load this machine carries with a valid verdict, found by runs; and whether a scenario asks for more.

Owns the scenarios that are run to find out, the search, and the file that keeps what came out. The file lies beside the
results, since it is one: of this machine, and of nobody else who has the same checkout. A figure measured on another
machine (other processors, memory or kernel) is not used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from testbed.emulation.temporary_folders import temporary_folder
from testbed.errors import InputError
from testbed.experiment.execution import environment, ownership, runner
from testbed.experiment.launch.processes import RunError
from testbed.experiment.plan.plan import Plan, make_plan
from testbed.experiment.progress import Progress, Silent
from testbed.experiment.scenario.file import parse
from testbed.experiment.systems.dyncast.keys import call
from testbed.experiment.systems.dyncast.keys.workload import FlowKeys
from testbed.experiment.systems.dyncast.plan.loads import MOST_PACKETS_PER_CLIENT_PER_S, MOST_REQUESTS_PER_CLIENT_PER_S
from testbed.experiment.systems.dyncast.scenario import DyncastScenario
from testbed.records import result_files

FILE = "calibration.json"
_FORMAT = 1
_MACHINE = ("machine", "cores", "memory_gib", "kernel")
_REQUESTS_PER_INSTANCE_PER_S = 500.0
_PACKETS_PER_INSTANCE_PER_S = 4000.0
_LEAST_SHARE = 1 / 16  # of the first load tried: who carries less than that is not asked further
_MOST_SHARE = 64.0

Document = dict[str, Any]


class CalibrationError(InputError):
    """A calibration file that cannot be read; one line naming it and the way out."""


class Kind(NamedTuple):
    """A kind of load: where the search begins, and the scenario for a load."""

    unit: str
    first: float
    document: Callable[[float, float], Document]


@dataclass(frozen=True)
class Carried:
    """The largest load that came out valid, the least that did not, and why it did not; None: none was found."""

    valid: float | None
    not_valid: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How thorough the search is."""

    duration_s: float = 5.0
    refinements: int = 1  # halvings, on a logarithmic scale, of what is between carried and not carried
    tries: int = 2  # a load is not carried if it is not valid so many times in a row


QUICK = Settings(duration_s=3.0, refinements=0, tries=1)


def calibrate(settings: Settings, progress: Progress) -> dict[str, Carried]:
    """Find what this machine carries, by kind of load. Raises the errors of runs, but for those of overload."""
    return {name: _of_kind(kind, settings, progress) for name, kind in KINDS.items()}


def _of_kind(kind: Kind, settings: Settings, progress: Progress) -> Carried:
    reasons: dict[float, tuple[str, ...]] = {}

    def is_carried(load: float) -> bool:
        for _ in range(settings.tries):
            verdict, reasons[load] = _verdict(kind, load, settings.duration_s)
            progress.phase(f"{load:.0f} {kind.unit}: {'; '.join([verdict, *reasons[load]])}")
            if verdict == "valid":
                return True
        return False

    valid, not_valid = search(kind.first, is_carried, settings.refinements)
    return Carried(valid, not_valid, reasons.get(not_valid, ()) if not_valid is not None else ())


def search(first: float, is_carried: Callable[[float], bool], refinements: int) -> tuple[float | None, float | None]:
    """Return the largest load that is carried and the least that is not, as far as asked.

    Doubles (or halves) from `first` until one of either is known, then asks in the geometric middle.
    """
    valid: float | None = None
    not_valid: float | None = None
    load = first
    while first * _LEAST_SHARE <= load <= first * _MOST_SHARE and (valid is None or not_valid is None):
        if is_carried(load):
            valid, load = load, 2 * load
        else:
            not_valid, load = load, load / 2
    for _ in range(refinements):
        if valid is None or not_valid is None:
            break
        middle = float(f"{math.sqrt(valid * not_valid):.2g}")
        if not valid < middle < not_valid:
            break
        if is_carried(middle):
            valid = middle
        else:
            not_valid = middle
    return valid, not_valid


def _verdict(kind: Kind, load: float, duration_s: float) -> tuple[str, tuple[str, ...]]:
    """Run a load; return the verdict with its reasons. A run that the load breaks is invalid."""
    with temporary_folder("calibrate") as folder:
        source = folder / "calibration.yaml"
        plan = make_plan(parse(kind.document(load, duration_s), str(source)), source)
        try:
            manifest = runner.run(plan, source, folder, Silent()).manifest
        except RunError as error:
            return "invalid", (str(error),)
    return str(manifest.verdict), manifest.reasons


# -- the scenarios -------------------------------------------------------------------------------------


def _requests(load: float, duration_s: float) -> Document:
    """New flows that a reactive ingress binds, each a request over TCP to an instance at either of two sites."""
    instances = math.ceil(load / _REQUESTS_PER_INSTANCE_PER_S / 2)
    return _document(
        {"kind": "http", "affinity": {"timeout_s": 5}},
        instances,
        {"workers": 100, "queue_limit": 1000},
        clients=math.ceil(2 * load / MOST_REQUESTS_PER_CLIENT_PER_S),
        workload={"arrivals": {"rate_per_s": load}, "work": {"mean_ms": 10}},
        duration_s=duration_s,
    )


def _packets(load: float, duration_s: float) -> Document:
    """Audio calls to instances at either of two sites, which echo each packet, through impaired links."""
    calls = max(1, round(load / call.AUDIO_PACKETS_PER_S))
    at_once = calls * duration_s * call.AUDIO_PACKETS_PER_S  # as a plan computes that does not look at windows
    return _document(
        {"kind": "rtp", "affinity": {"timeout_s": 5}},
        math.ceil(load / _PACKETS_PER_INSTANCE_PER_S / 2),
        {"workers": 64, "queue_limit": 1000},
        clients=max(2, math.ceil(at_once / MOST_PACKETS_PER_CLIENT_PER_S)),
        workload={
            "arrivals": {"process": "constant", "rate_per_s": calls, "end_s": 1.0},
            "call_duration": {"distribution": "constant", "mean_ms": 1000 * (duration_s - 1)},
            "timeout_s": 2,
        },
        duration_s=duration_s,
    )


def _document(
    service: Document, instances: int, keys: Document, *, clients: int, workload: Document, duration_s: float
) -> Document:
    link = {"delay_ms": 1}
    return {
        "name": "calibration",
        "topology": "topozoo/Abilene",
        "sites": {"east": {"at": "New York"}, "middle": {"at": "Chicago"}},
        "services": {"work": {"d_sid": "203.0.113.10", **service}},
        "instances": [
            {"service": "work", "site": site, "count": max(1, instances), "link": link, **keys}
            for site in ("east", "middle")
        ],
        "clients": [{"site": "east", "count": clients, "link": link}],
        "workloads": [{"name": "load", "service": "work", "clients": ["east"], **workload}],
        "duration_s": duration_s,
    }


KINDS: Mapping[str, Kind] = {
    "requests_per_s": Kind("requests/s", 250.0, _requests),
    "rtp_packets_per_s": Kind("RTP packets/s", 1000.0, _packets),
}


# -- the file ------------------------------------------------------------------------------------------


def write(path: Path, carried: Mapping[str, Carried], settings: Settings) -> None:
    """Keep what was found, in one step."""
    document = {
        "format": _FORMAT,
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "settings": asdict(settings),
        "machine": _this_machine(),
        "carried": {name: asdict(item) for name, item in carried.items()},
    }
    ownership.make_folder(path.parent)
    result_files.write_text(path, json.dumps(document, indent=1) + "\n")


def read(path: Path) -> dict[str, Carried]:
    """Return what was found on this machine; nothing if no file is there, or one from elsewhere.

    Raises CalibrationError.
    """
    try:
        document = json.loads(result_files.read_text(path))
        if document["format"] != _FORMAT or document["machine"] != _this_machine():
            return {}
        return {
            name: Carried(item["valid"], item["not_valid"], tuple(item["reasons"]))
            for name, item in document["carried"].items()
            if name in KINDS
        }
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"{path} cannot be read ({error!r}); run `dyncast calibrate` again") from error


def _this_machine() -> Document:
    described = environment.describe()
    return {key: described[key] for key in _MACHINE}


# -- what a scenario asks for --------------------------------------------------------------------------


def asked(scenario: DyncastScenario) -> dict[str, float]:
    """Return the highest load that workloads ask for together, by kind; of traces nothing is known before the run."""
    by_kind: dict[str, list[tuple[float, float, float]]] = {name: [] for name in KINDS}
    for workload in scenario.flow_workloads:
        name, load = _of_workload(scenario, workload)
        if load:
            end_s = min(workload.arrivals.end_s or scenario.duration_s, scenario.duration_s)
            by_kind[name].append((workload.arrivals.start_s, end_s, load))
    return {name: max(_sums(windows), default=0.0) for name, windows in by_kind.items()}


def _of_workload(scenario: DyncastScenario, workload: FlowKeys) -> tuple[str, float]:
    rate_per_s = workload.arrivals.rate_per_s or 0.0
    kind = scenario.services[workload.service].kind
    if kind == "http":
        return "requests_per_s", rate_per_s
    if kind != "rtp":  # a command of one's own: nobody knows what it sends
        return "rtp_packets_per_s", 0.0
    window_s = min(workload.arrivals.end_s or scenario.duration_s, scenario.duration_s) - workload.arrivals.start_s
    calls_at_once = rate_per_s * min(window_s, workload.call_duration.mean_ms / 1e3)
    return "rtp_packets_per_s", calls_at_once * call.packets_per_s(workload.media, workload.video_kbps)


def _sums(windows: Sequence[tuple[float, float, float]]) -> Iterator[float]:
    for begin_s, _, _ in windows:
        yield sum(load for since_s, until_s, load in windows if since_s <= begin_s < until_s)


def warnings(plan: Plan, path: Path) -> list[str]:
    """Return, for each kind of load of which a plan asks for more than was carried, a line that says so."""
    carried, found = read(path), []
    for name, load in asked(DyncastScenario.of(plan.scenario)).items():
        most = carried[name].valid if name in carried else None
        if most is not None and load > most:
            found.append(
                f"the scenario asks for {load:.0f} {KINDS[name].unit}; with a valid verdict this machine carried "
                f"{most:.0f} ({path}): expect a suspect or invalid run"
            )
    return found
