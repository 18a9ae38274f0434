"""A shell in a network whose run or test failed, before the network is removed.

Owns what is said about the network and the shell itself. Who wants one says so around whatever may fail
(`upon_failure`); whose failure it is, is not known here.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from testbed.emulation.netns.namespaces import path_of
from testbed.runtime import caller
from testbed.terminal import console as terminal

if TYPE_CHECKING:
    from testbed.emulation.network import EmulatedNetwork

Look = Callable[["EmulatedNetwork", BaseException], None]
_BY_THE_USER = (KeyboardInterrupt, SystemExit, GeneratorExit)
_LOOK: ContextVar[Look | None] = ContextVar("what looks at a network upon failure", default=None)


@contextmanager
def upon_failure(look: Look | None) -> Iterator[None]:
    """Have `look` called with each network that an error in the block takes down, and the error, before it goes."""
    former = _LOOK.set(look)
    try:
        yield
    finally:
        _LOOK.reset(former)


def offer(network: EmulatedNetwork, error: BaseException | None) -> None:
    """Have a network looked at whose block ended, if it was an error, not the user, that ended it."""
    look = _LOOK.get()
    if look is not None and error is not None and not isinstance(error, _BY_THE_USER):
        look(network, error)


def open_in(network: EmulatedNetwork, error: BaseException, *, say: Callable[[str], None]) -> None:
    """Say what stands, open a shell, and return when it ends; without a terminal, say so and return.

    `say` takes the lines that others than the terminal's user may read, too.
    """
    say(f"failed: {str(error) or type(error).__name__}")
    if network.startup_seconds is None:
        say("no debug shell: the network was not whole yet")
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        say("no debug shell: standard input and output are no terminal")
        return
    terminal.output().print(_described(network))
    with tempfile.NamedTemporaryFile("w", suffix=".bash", encoding="utf-8") as start_file:
        start_file.write(_start_file(network))
        start_file.flush()
        subprocess.run(
            ["bash", "--rcfile", start_file.name, "-i"],
            env={**caller.environment(), **network.tag.environment},
            check=False,
        )


def _described(network: EmulatedNetwork) -> str:
    nodes = {node.name: node for node in network.topology.nodes}
    width = max(map(len, nodes))
    lines = [f"run {network.tag} stands; its namespaces:", ""]
    for name, node in nodes.items():
        addresses = f"  {network.plan.host(name).ipv4.ip}" if node.role.is_host else ""
        lines.append(f"  {name:{width}}  {node.role.name:10}  process {network.pid(name)}{addresses}")
    lines += ["", "its bridges:", ""]
    lines += [f"  {name:{width}}  {bridge.name}" for name, bridge in network.bridges.items()]
    example = next(iter(nodes))
    some_bridge = next((bridge.name for bridge in network.bridges.values()), "BRIDGE")
    lines += [
        "",
        f"  enter NODE [COMMAND]                     in a namespace: enter {example} ip route",
        f"  nsenter --net={path_of(network.pid(example))} COMMAND   the same by hand",
        f"  ovs-ofctl -O OpenFlow13 dump-flows {some_bridge}   flow entries of a bridge",
        "  dyncast inspect, dyncast bindings        from another terminal or this one, while control processes are up",
        "  exit                                     the network is removed",
        "",
    ]
    return "\n".join(lines)


def _start_file(network: EmulatedNetwork) -> str:
    """Return what the shell reads at its start: a prompt, and `enter`, which completes the names of nodes."""
    names = [node.name for node in network.topology.nodes]
    cases = "\n".join(f"        {shlex.quote(name)}) pid={network.pid(name)} ;;" for name in names)
    return f"""\
[ ! -f ~/.bashrc ] || . ~/.bashrc
PS1='[{network.tag}] \\w# '
enter() {{
    local pid
    case "$1" in
{cases}
        *) echo "enter: there is no node '$1'" >&2; return 2 ;;
    esac
    shift
    nsenter --net=/proc/$pid/ns/net -- "${{@:-bash}}"
}}
COMP_WORDBREAKS=${{COMP_WORDBREAKS//@}}
complete -W {shlex.quote(" ".join(map(shlex.quote, names)))} enter
"""
