"""Where a switch opens its OpenFlow session: a TCP socket that the starter bound, for root's processes alone.

A port that its process binds itself could be taken by anybody while it is not there, and any local user who connects
would speak for the switch. A Unix socket would ask for no such care; but it holds a few hundred messages, and Open
vSwitch drops Packet-Ins that find no room. Stands in for the framework's listener.
"""

from __future__ import annotations

import socket

from ryu_apps.openflow.framework import controller, hub, ofp_handler
from ryu_apps.openflow.inherited_sockets import inherited
from testbed.linux.tcp_peers import is_trusted


def listen(descriptor: int) -> None:
    """Have the framework take sessions at a listening socket, and nowhere else, once its apps are started.

    Raises ConfigError if the descriptor is none.
    """
    listening = inherited(descriptor, "openflow_fd", socket.SOCK_STREAM)
    ofp_handler.OpenFlowController = lambda: lambda: _serve(listening)  # type: ignore[attr-defined]


def _serve(listening: socket.socket) -> None:
    while True:
        connection, address = listening.accept()
        if _is_trusted(connection):
            hub.spawn(controller.datapath_connection_factory, connection, address)
        else:
            connection.close()


def _is_trusted(connection: socket.socket) -> bool:
    try:
        return is_trusted(connection)
    except OSError:  # it is gone already
        return False
