"""Which sandbox a cluster takes: the first that works here, found out by starting a container in it.

Owns the order (OCI runtimes first) and the probe. Leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from testbed.agents.cluster.child import Child
from testbed.agents.cluster.sandboxes import control_groups
from testbed.agents.cluster.sandboxes.bubblewrap import Bubblewrap
from testbed.agents.cluster.sandboxes.oci import PROGRAMS, OciRuntime
from testbed.agents.cluster.sandboxes.sandbox import Sandbox, SandboxError
from testbed.agents.cluster.sandboxes.view import Container
from testbed.faas.actions.action import PYTHON

STATE = "runtime"  # the folder in the cluster's where an OCI runtime notes down its containers
AUTO, OCI, PROCESS = "auto", "oci", "process"
_START_LIMIT_S = 15.0
_END_LIMIT_S = 5.0
_MAKERS: dict[str, tuple[str, Callable[[Path], Sandbox]]] = {
    **{program: (OCI, lambda state, program=program: OciRuntime(program, state)) for program in PROGRAMS},  # type: ignore[misc]
    "bwrap": (PROCESS, lambda _state: Bubblewrap()),
}
NAMES = tuple(_MAKERS)


async def choose(wanted: str, folder: Path) -> Sandbox:
    """Return the first sandbox that works, of a sort (`auto`: any) or of a name; `folder` is the cluster's.

    Raises SandboxError.
    """
    problems = []
    for name, (sort, make) in _MAKERS.items():
        if wanted not in (AUTO, sort, name):
            continue
        try:
            sandbox = make(folder / STATE)
            await probe(sandbox, folder)
        except SandboxError as error:
            problems.append(f"{name}: {error}")
        else:
            return sandbox
    raise SandboxError(f"no sandbox works here: {'; '.join(problems) or f'there is no {wanted!r}'}")


def made(name: str, state: Path) -> Sandbox:
    """Return a sandbox by its name. Raises SandboxError if its program is not here."""
    return _MAKERS[name][1](state)


async def probe(sandbox: Sandbox, parent: Path) -> None:
    """Start a container and end it again. Raises SandboxError with what its program said."""
    folder = Path(tempfile.mkdtemp(prefix="probe-", dir=parent))
    container = Container(folder.name, PYTHON, {}, 64, folder, f"dyncast-{folder.name}", 1.0, {})
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    ended: asyncio.Future[int] = loop.create_future()
    try:
        child = Child(
            sandbox.command(container),
            folder / "socket",
            (),
            lambda: _set(ready, True),
            lambda code: _end(ended, ready, code),
            sandbox.hidden,
        )
        try:
            if not await asyncio.wait_for(asyncio.shield(ready), _START_LIMIT_S):
                raise SandboxError(
                    sandbox.problem(container) or child.said() or f"its program ended with code {ended.result()}"
                )
        except asyncio.TimeoutError:
            raise SandboxError(f"a container did not start within {_START_LIMIT_S:g} s") from None
        finally:
            if not ended.done():
                sandbox.kill(container, child.pid)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(asyncio.shield(ended), _END_LIMIT_S)
            sandbox.clear(container)
            control_groups.remove_everywhere(container.group)
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


def _end(ended: asyncio.Future[int], ready: asyncio.Future[bool], code: int) -> None:
    ended.set_result(code)
    _set(ready, False)
