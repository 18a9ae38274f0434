"""What every sandbox offers: the command that starts a container in it, and how a container is ended."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from contextlib import suppress

from testbed.agents.cluster.sandboxes.view import Container
from testbed.errors import TestbedError


class SandboxError(TestbedError):
    """No sandbox works here, or not the one that was asked for; one line that says why, and the way out."""


class Sandbox(ABC):
    """A way to lock up containers. `name` is shown; `sort` is what users ask for."""

    name: str
    sort: str
    is_limited_from_outside = True  # its program enters the control groups of a container, and stays in them
    hidden: tuple[str, ...] = ()  # mounts of the machine that its program must not see

    @abstractmethod
    def command(self, container: Container) -> list[str]:
        """Return what starts a container, whose folder exists; it inherits descriptors 0 to 4, and lives as long."""

    def problem(self, container: Container) -> str:
        """Return what the sandbox's program said went wrong with a container, where that is not in its output."""
        del container
        return ""

    def kill(self, container: Container, pid: int) -> None:
        """End a container at once; `pid` is the process of its command, which ends, too."""
        del container
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def clear(self, container: Container) -> None:
        """Remove what is left once the command has ended, but for the container's folder. Blocks for milliseconds."""
        del container
