"""Start one D-Router's control process: `python -m ryu_apps.launcher CONFIG.json`.

Owns the framework's start and a clean end: SIGTERM or SIGINT stops the apps, writes what is not written
yet, and exits 0.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import ryu_apps.dyncast.ingress  # noqa: F401  registers its option before options are parsed
from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.openflow.framework import HANDLER_MODULE, app_manager, cfg, hub
from ryu_apps.openflow.switch_listener import listen
from testbed.runtime.lifecycle import run


def main(arguments: Sequence[str]) -> int:
    """Run until asked to stop; return the exit code. `arguments` are those of sys.argv."""
    return run(ControlConfig, lambda settings: _control(settings, arguments[1]), arguments)


def _control(settings: ControlConfig, path: str) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    hub.patch(thread=False)
    cfg.CONF([f"--dyncast-config={path}"], project="dyncast")
    listen(settings.openflow_fd)
    _serve()


def _serve() -> None:
    stop = hub.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        hub.spawn(stop.set)

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    apps = app_manager.AppManager.get_instance()
    apps.load_apps(["ryu_apps.dyncast.ingress", HANDLER_MODULE])
    threads = apps.instantiate_apps(**apps.create_contexts())
    stop.wait()
    for thread in threads:
        hub.kill(thread)
    apps.close()
    hub.joinall(threads)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
