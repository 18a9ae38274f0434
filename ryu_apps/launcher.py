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
from pathlib import Path
from types import FrameType

from ryu_apps import config as control_config
from ryu_apps.framework import HANDLER_MODULE, app_manager, cfg, hub
from testbed.event_loop import end_with_parent

_LISTEN_HOST = "127.0.0.1"


def main(arguments: list[str]) -> int:
    """Run until told to stop. Returns 2 for a configuration that cannot serve, 1 for a port that is taken."""
    if len(arguments) != 1:
        print("usage: python -m ryu_apps.launcher CONFIG.json", file=sys.stderr)
        return 2
    try:
        settings = control_config.load(Path(arguments[0]))
    except control_config.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    taken = _who_is_in_the_way(settings.openflow_port)
    if taken:
        print(f"{settings.name}: {taken}", file=sys.stderr)
        return 1
    end_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    hub.patch(thread=False)
    import ryu_apps.dyncast_ingress  # noqa: F401  registers its option before options are parsed

    options = {
        "ofp-listen-host": _LISTEN_HOST,
        "ofp-tcp-listen-port": settings.openflow_port,
        "dyncast-config": arguments[0],
    }
    cfg.CONF([f"--{name}={value}" for name, value in options.items()], project="dyncast")
    _serve()
    return 0


def _who_is_in_the_way(port: int) -> str | None:
    """Try the OpenFlow port: the framework would log a failure to listen, and go on deaf."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_LISTEN_HOST, port))
            trial.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is taken by another program: set openflow_port to a free one"
            return f"port {port} cannot be used for OpenFlow: {error.strerror}"
    return None


def _serve() -> None:
    stop = hub.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        hub.spawn(stop.set)

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, ask_to_stop)
    apps = app_manager.AppManager.get_instance()
    apps.load_apps(["ryu_apps.dyncast_ingress", HANDLER_MODULE])
    threads = apps.instantiate_apps(**apps.create_contexts())
    stop.wait()
    for thread in threads:
        hub.kill(thread)
    apps.close()
    hub.joinall(threads)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
