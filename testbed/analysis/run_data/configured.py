"""What a run was meant to be: its scenario and its network, as the runner resolved them and wrote them down.

Owns the reading of `scenario.yaml` and `topology.yaml` of a run folder. Knows nothing of what came out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from testbed import yaml_documents
from testbed.analysis.run_data.loading import RunDataError
from testbed.records import result_files
from testbed.yaml_documents import YamlError
from topologies import routing, yaml_form
from topologies.spec import Link, LinkSpec, Topology, TopologyError

_RUN_AGAIN = "run the scenario again"


class Hop(NamedTuple):
    """A link as a packet meets it: its label and direction in the link statistics, and what it does to packets."""

    label: str
    direction: str
    spec: LinkSpec


@dataclass(frozen=True)
class Configured:
    """The scenario with all defaults, and the network with all hosts."""

    scenario: Mapping[str, Any]
    topology: Topology

    def policy_of(self, service: str) -> str:
        """Return the policy that steers a service."""
        return str(self.scenario["services"][service].get("policy") or self.scenario["policy"])

    def hops(self, client: str, instance: str) -> tuple[Hop, ...]:
        """Return the links from a client's host to an instance's. Raises TopologyError for hosts that are not there."""
        there, back = self._to_d_router(client), self._to_d_router(instance)
        nodes = [*there, *routing.path(self.topology, there[-1], back[-1])[1:], *back[-2::-1]]
        return tuple(self._hop(a, b) for a, b in pairwise(nodes))

    def _to_d_router(self, host: str) -> list[str]:
        dispatcher = self.topology.switch_of(host)
        return [host, *([dispatcher] if dispatcher else []), self.topology.site_of(host)]

    def _hop(self, a: str, b: str) -> Hop:
        link = self._links[frozenset((a, b))]
        return Hop(f"{link.a} - {link.b}", "a_to_b" if link.a == a else "b_to_a", link.spec)

    @cached_property
    def _links(self) -> dict[frozenset[str], Link]:
        return {frozenset((link.a, link.b)): link for link in self.topology.links}


def configured(run_dir: Path) -> Configured:
    """Read both files of a run folder. Raises RunDataError."""
    try:
        scenario = yaml_documents.parse(_text(run_dir / "scenario.yaml"), "scenario.yaml")
    except YamlError:
        scenario = None
    if not isinstance(scenario, dict) or not {"services", "instances", "workloads", "policy"} <= scenario.keys():
        raise RunDataError(f"{run_dir / 'scenario.yaml'} is no resolved scenario; {_RUN_AGAIN}")
    path = run_dir / "topology.yaml"
    try:
        return Configured(scenario, yaml_form.parse(_text(path), str(path)))
    except TopologyError as error:
        raise RunDataError(f"{error}; {_RUN_AGAIN}") from error


def _text(path: Path) -> str:
    try:
        return result_files.read_text(path)
    except FileNotFoundError:
        raise RunDataError(
            f"{path} is missing: the run is not complete, or of an older version; {_RUN_AGAIN}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunDataError(f"{path} cannot be read ({result_files.why_unread(error)}); {_RUN_AGAIN}") from None
