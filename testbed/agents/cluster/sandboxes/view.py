"""What a container sees: a read-only system, its runtime and layers, folders in memory, an environment. Nothing else.

Pure but for looking where this machine has its system. Knows nothing of how a sandbox is made of it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testbed.faas.actions.action import BLACKBOX, NODE, PYTHON

RUNTIMES = Path(__file__).parents[1] / "runtimes"
_IN_CONTAINER = "/runtime"
_SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "ssl/certs",
    "ssl/openssl.cnf",
)
_NODES = ("/usr/bin/node", "/usr/bin/nodejs", "/usr/local/bin/node")
USER = 65534


@dataclass(frozen=True)
class Container:
    """What one container is made from. `folder`, `group` (of control groups) are its own, and are removed with it."""

    name: str
    kind: str
    layers: Mapping[str, Path]
    memory_mb: int
    folder: Path
    group: str
    cpus: float
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Bind:
    """A path of the machine that is seen in a container, read-only."""

    source: Path
    target: str


def interpreter() -> Path:
    """Return the Python that runtimes are run by: that of this process, without its environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


@cache
def node() -> Path | None:
    """Return where Node is, where containers see it, too."""
    return next((Path(path) for path in _NODES if Path(path).exists()), None)


def kinds() -> tuple[str, ...]:
    """Return the runtimes that this machine has."""
    return (PYTHON, *((NODE,) if node() else ()), BLACKBOX)


def command(container: Container) -> list[str]:
    """Return the command that serves the contract inside a container."""
    if container.kind == NODE:
        return [str(node()), f"{_IN_CONTAINER}/node_runtime.js"]
    python = [str(interpreter()), "-S", "-E", "-B"]
    if container.kind == BLACKBOX:
        return [*python, f"{_IN_CONTAINER}/black_box.py", *list(container.layers)[:1]]
    return [*python, f"{_IN_CONTAINER}/python_runtime.py"]


def environment(container: Container) -> dict[str, str]:
    """Return the environment of a container."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "CLUSTER_PYTHON": str(interpreter()),
        "NODE_PATH": ":".join(f"/layers/{name}" for name in container.layers),
        **container.variables,
    }


def binds(container: Container) -> list[Bind]:
    """Return what of the machine a container sees; links among the folders of the system are not among it."""
    found = [Bind(Path("/usr"), "/usr"), Bind(RUNTIMES, _IN_CONTAINER)]
    found += [Bind(path, str(path)) for name in _SYSTEM_FOLDERS if _is_folder(path := Path("/", name))]
    found += [Bind(path, str(path)) for name in _ETC if (path := Path("/etc", name)).exists()]
    prefix = Path(sys.base_prefix).resolve()
    if Path("/usr") not in (prefix, *prefix.parents):
        found.append(Bind(prefix, str(prefix)))
    return found + [Bind(folder, f"/layers/{name}") for name, folder in container.layers.items()]


def links() -> dict[str, str]:
    """Return the links among the folders of the system, by their path, as this machine has them."""
    return {str(path): str(path.readlink()) for name in _SYSTEM_FOLDERS if (path := Path("/", name)).is_symlink()}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
