"""The sandboxed process: bubblewrap with namespaces of its own. No OCI runtime, no root needed.

The kernel ends all of it when the command ends (`--die-with-parent`, a PID namespace).
"""

from __future__ import annotations

import shutil

from testbed.agents.cluster.sandboxes import view
from testbed.agents.cluster.sandboxes.sandbox import Sandbox, SandboxError
from testbed.agents.cluster.sandboxes.view import Container


class Bubblewrap(Sandbox):
    """Containers by `bwrap`."""

    name = "bwrap"
    sort = "process"

    def __init__(self) -> None:
        found = shutil.which("bwrap")
        if found is None:
            raise SandboxError("bwrap is not installed (Debian, Ubuntu: apt-get install -y bubblewrap)")
        self._program = found

    def command(self, container: Container) -> list[str]:
        """Return what starts a container."""
        words = [
            self._program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
            "--unshare-user", "--uid", str(view.USER), "--gid", str(view.USER), "--hostname", "container",
            "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/action", "--chdir", "/action",
        ]  # fmt: skip
        for bind in view.binds(container):
            words += ["--ro-bind", str(bind.source), bind.target]
        for path, target in view.links().items():
            words += ["--symlink", target, path]
        for key, value in view.environment(container).items():
            words += ["--setenv", key, value]
        return [*words, "--", *view.command(container)]
