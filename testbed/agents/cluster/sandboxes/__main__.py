"""`python -m testbed.agents.cluster.sandboxes`: which sandboxes work here, as a JSON list; `dyncast doctor` shows it.

Starts a container in each. Leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from testbed.agents.cluster.sandboxes import choice
from testbed.agents.cluster.sandboxes.sandbox import SandboxError

_PACKAGES = {"bwrap": "bubblewrap"}


async def _row(name: str, folder: Path) -> dict[str, object]:
    remedy = f"apt-get install -y {_PACKAGES.get(name, name)}"
    try:
        await choice.choose(name, folder)
    except SandboxError as error:
        problem = str(error).removeprefix("no sandbox works here: ").removeprefix(f"{name}: ")
        return {"name": f"sandbox_{name}", "present": False, "detail": problem, "remedy": remedy}
    return {"name": f"sandbox_{name}", "present": True, "detail": "started a container", "remedy": ""}


async def _rows() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="dyncast-sandboxes-") as folder:
        (Path(folder) / choice.STATE).mkdir()
        return [await _row(name, Path(folder)) for name in choice.NAMES]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_rows())))
