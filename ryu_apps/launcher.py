"""Start one D-Router's control process: `python -m ryu_apps.launcher CONFIG.json`.

Owns the framework's start and a clean end: SIGTERM or SIGINT stops the apps, writes what is not written
yet, and exits 0.
"""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import ryu_apps.dyncast.ingress  # noqa: F401  registers its option before options are parsed
from ryu_apps.dyncast.config.control_process import ControlConfig
from ryu_apps.openflow.framework import HANDLER_MODULE, app_manager, cfg, hub
from testbed.runtime.lifecycle import ProcessFailure, run

_LISTEN_HOST = "127.0.0.1"


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; return the exit code. `arguments` are those of sys.argv."""
    return run(ControlConfig, lambda settings: _control(settings, arguments[1]), arguments)


def _control(settings: ControlConfig, path: str) -> None:
    _check_port(settings.openflow_port)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    hub.patch(thread=False)
    options = {
        "ofp-listen-host": _LISTEN_HOST,
        "ofp-tcp-listen-port": settings.openflow_port,
        "dyncast-config": path,
    }
    cfg.CONF([f"--{name}={value}" for name, value in options.items()], project="dyncast")
    _serve()


def _check_port(port: int) -> None:
    """Try the OpenFlow port: the framework would log a failure to listen, and go on deaf."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_LISTEN_HOST, port))
            trial.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = f"port {port} is taken by another program: set openflow_port to a free one"
            else:
                problem = f"port {port} cannot be used for OpenFlow: {error.strerror}"
            raise ProcessFailure(problem) from error


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
