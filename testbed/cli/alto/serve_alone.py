"""An ALTO server from the command line: what it serves, its files, its script, its end by a signal."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

from testbed import yaml_documents
from testbed.agents.alto_server import certificates
from testbed.agents.alto_server.server import AltoServer, Place
from testbed.agents.http.tls import TlsFiles
from testbed.alto.network import directories
from testbed.alto.network.static_knowledge import NETWORK_MAP, knowledge_of
from testbed.alto.service.knowledge import Knowledge
from testbed.cli.alto import script
from testbed.cli.alto.script import Change
from testbed.emulation import temporary_folders
from testbed.experiment.systems.alto.topology_facts import facts_of
from testbed.terminal import console as terminal
from topologies import catalogue
from topologies.addressing import AddressPlan
from topologies.spec import Topology

_LOOPBACK = "127.0.0.1"
_NAMES = ("localhost", _LOOPBACK, "::1")


def run(
    topology: str,
    port: int,
    tls: bool,
    certificate: Path | None,
    key: Path | None,
    authority_copy: Path | None,
    users: Mapping[str, str],
    script_file: Path | None,
) -> int:
    """Serve until a signal says that it is over; return the exit code."""
    found, addresses = _network(topology)
    known, directory = knowledge_of(facts_of(found, addresses)), directories.directory()
    changes = [] if script_file is None else script.read(script_file, directory, known)
    with ExitStack() as stack:
        files = None if certificate is None or key is None else TlsFiles(certificate, key)
        if tls:
            temporary_folders.remove_abandoned()
            folder = stack.enter_context(temporary_folders.temporary_folder("alto"))
            files = certificates.make(folder, _NAMES, datetime.now(timezone.utc))
            if authority_copy is not None and files.authority is not None:
                shutil.copyfile(files.authority, authority_copy)
        place = Place(_LOOPBACK, port, files, users)
        asyncio.run(_serve(place, known, changes))
    return 0


async def _serve(place: Place, known: Knowledge, changes: Sequence[Change]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    server = AltoServer(place, known, directories.directory(), directories.DIRECTORY_PATH)
    try:
        terminal.document(f"{await server.begin()}\n")
        _say(place, known)
        for change in changes:
            loop.call_later(change.at_s, _apply, server, change)
        await ended.wait()
    finally:
        await server.close()


def _say(place: Place, known: Knowledge) -> None:
    shown = terminal.errors()
    shown.print(f"PIDs: {len(known.network_maps[NETWORK_MAP].pids)}; it ends by Ctrl-C")
    if place.tls is not None and place.tls.authority is not None:
        shown.print(f"its certificate's authority: {place.tls.authority} (--cacert of dyncast alto get, and of curl)")


def _apply(server: AltoServer, change: Change) -> None:
    server.update(change.applied(server.service.knowledge))


def _network(reference: str) -> tuple[Topology, AddressPlan]:
    """Return the network that a name, a topology's file or a scenario's file stands for."""
    path = Path(reference)
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        document = yaml_documents.read(path)
        if isinstance(document, dict) and "topology" in document:
            from testbed.cli.options import planned

            plan = planned(path, [], None)
            return plan.topology, plan.addresses
    topology = catalogue.load(reference)
    return topology, AddressPlan(topology)
