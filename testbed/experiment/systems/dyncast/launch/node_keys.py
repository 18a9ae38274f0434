"""The keys of the nodes of one run, and which process gets which.

Drawn again for each run, never from the seed: a result must not reveal them. Their files lie outside the results.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from testbed.dyncast.messages.authentication import KEY_BYTES, Identity, Role
from testbed.dyncast_io import keys_file
from testbed.experiment.systems.dyncast.launch import dispatcher_configs
from testbed.experiment.systems.dyncast.plan.plan import DyncastPlan
from testbed.records.file_names import file_name


def write(plan: DyncastPlan, folder: Path) -> None:
    """Draw a key for each node; write a file for each process, called like it, with those keys that it needs.

    An agent needs its own. A D-Router needs its own and those of all whose messages it verifies, which is everybody.
    A CFN Dispatcher and its CFN node share one, which is nobody else's.
    A name server that chooses instances receives from agents, and sends no messages.
    """
    with_agents = [site for site in plan.sites if any(item.site == site for item in plan.reported)]
    nodes = [Identity(Role.D_ROUTER, site) for site in plan.sites]
    nodes += [Identity(Role.AGENT, site) for site in with_agents]
    keys = {node: secrets.token_bytes(KEY_BYTES) for node in nodes}
    shared = {name: {Identity(Role.DISPATCHER, name): secrets.token_bytes(KEY_BYTES)} for name in plan.dispatchers}
    for site in plan.sites:
        own = {node: key for name in dispatcher_configs.of_site(plan, site) for node, key in shared[name].items()}
        keys_file.write(folder / file_name(f"control@{site}"), keys | own)
    for name, of_dispatcher in shared.items():
        keys_file.write(folder / file_name(f"control@{name}"), of_dispatcher)
    if plan.name_server is not None and plan.name_server.steered:
        server = Identity(Role.D_ROUTER, plan.name_server.name)
        agents = {node: key for node, key in keys.items() if node.role is Role.AGENT}
        keys_file.write(folder / file_name(plan.name_server.name), {**agents, server: secrets.token_bytes(KEY_BYTES)})
    for site in with_agents:
        agent = Identity(Role.AGENT, site)
        keys_file.write(folder / file_name(f"dma@{site}"), {agent: keys[agent]})
