"""Mininet nodes as this testbed wants them: tagged, and configured in batches from outside.

Owns what differs from stock Mininet, so that `network.mininet['client-1'].cmd('ping …')`, `.popen`, `.IP()`
work as any Mininet user expects. Knows nothing of topologies, bridges or routes.
"""

from __future__ import annotations

import resource
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from subprocess import Popen
from typing import Any

with warnings.catch_warnings():  # Mininet 2.3.0 imports distutils
    warnings.simplefilter("ignore", DeprecationWarning)
    from mininet.link import Intf
    from mininet.net import Mininet
    from mininet.node import Node

from testbed.emulation.run_tag import RunTag
from testbed.emulation.wiring import Interface
from testbed.runtime import caller

_START_THREADS = 4
# For some 8,000 nodes. A node's `mnexec` closes all files that its limit allows, one by one: at the million that
# systemd or a container allows, that takes it 0.3 s.
_MOST_FILES = 65_536


class EmulatedNode(Node):  # type: ignore[misc]
    """A Mininet node (a shell in a network namespace of its own) whose processes carry the run's tag."""

    def __init__(self, name: str, *, tag: RunTag, **params: Any) -> None:
        self._tag = tag
        super().__init__(name, **params)

    def _popen(self, cmd: list[str], **params: Any) -> Popen[Any]:
        environment = {**(params.pop("env", None) or caller.environment()), **self._tag.environment}
        return super()._popen(cmd, env=environment, **params)  # type: ignore[no-any-return]

    def popen(self, *args: Any, **kwargs: Any) -> Popen[Any]:
        """Start a process in the node. Mininet's way in (`mnexec -a`) would leave a changed root directory."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--root", "--wd", "--"]
        return super().popen(*args, **{"mncmd": enter, "start_new_session": True, **kwargs})  # type: ignore[no-any-return]

    @classmethod
    def setup(cls) -> None:
        """Skip Mininet's check for ifconfig, which is never called here."""


class EmulatedInterface(Intf):  # type: ignore[misc]
    """An interface that exists and is configured already; Mininet only learns of it."""

    def config(self, **_params: Any) -> dict[str, Any]:
        """Configure nothing."""
        return {}


class EmulatedMininet(Mininet):  # type: ignore[misc]
    """Mininet with nodes only: links, bridges and addresses are made in batches by the network builder."""

    def __init__(self, tag: RunTag) -> None:
        self._tag = tag
        # Mininet's own initialisation raises kernel limits for good, for the whole machine.
        Mininet.inited = True
        allow_many_files()
        super().__init__(topo=None, build=False)
        self.built = True

    def add_nodes(self, names: Iterable[str]) -> None:
        """Start one node for each name, several at a time."""
        with ThreadPoolExecutor(_START_THREADS) as pool:
            # Listed as each one starts, so that an interruption finds every shell that runs.
            list(pool.map(lambda name: self.addHost(name, cls=EmulatedNode, tag=self._tag), names))

    def note_interface(self, interface: Interface) -> None:
        """Register with Mininet an interface that was made inside a node's namespace."""
        address = next(item for item in interface.addresses if item.version == 4)
        noted = EmulatedInterface(
            interface.name, node=self[interface.node], mac=interface.mac, moveIntfFn=lambda *_: None
        )
        noted.ip, noted.prefixLen = str(address.ip), address.network.prefixlen

    def stop(self) -> None:
        """End all shells, then collect them."""
        for node in self.hosts:
            if node.shell is not None and node.shell.poll() is None:
                node.shell.kill()
        for node in self.hosts:
            node.terminate()
        self.hosts.clear()
        self.nameToNode.clear()


def allow_many_files() -> None:
    """Make room for the pipes of many nodes, in this process, and for no more than that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
