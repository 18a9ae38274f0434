"""In which sandboxes functions can run here, for the doctor: asked of a program that starts a container in each.

No run of Dyncast alone needs one. Knows nothing of how a container is started.
"""

from __future__ import annotations

import json
import subprocess

from testbed.emulation.machine.capabilities import Capability
from testbed.runtime import caller

_LIMIT_S = 60.0


def rows() -> list[Capability]:
    """Return a row for each sandbox."""
    command = caller.python_module("testbed.agents.cluster.sandboxes")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=True)
        return [Capability(**row) for row in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        return [Capability("sandbox", False, str(error)[:200], "apt-get install -y crun bubblewrap")]
