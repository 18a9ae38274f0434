"""Where captures are: at hosts and links that the network has. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.experiment.scenario.capture_keys import CaptureKeys
from topologies.spec import Topology, TopologyError, unknown_name


def check_places(captures: Sequence[CaptureKeys], topology: Topology) -> None:
    """Raise TopologyError, naming the key and a near name, for a capture where nothing is."""
    names = [node.name for node in topology.nodes]
    hosts = [node.name for node in topology.nodes if node.role.is_host]
    for number, capture in enumerate(captures):
        if capture.host is not None and capture.host not in hosts:
            raise unknown_name(f"captures[{number}].host: there is no host", capture.host, hosts)
        for name in capture.link or ():
            if name not in names:
                raise unknown_name(f"captures[{number}].link: there is no node", name, names)
        if capture.link and not any({link.a, link.b} == set(capture.link) for link in topology.links):
            a, b = capture.link
            raise TopologyError(f"captures[{number}].link: no link between {a!r} and {b!r}")
