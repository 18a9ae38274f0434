"""The one place that imports the controller framework: os-ken, or stock Ryu where os-ken is absent.

Both have the same modules under another name. The eventlet hub is asked for before the first import,
for the native hub of os-ken 4.2 neither ends a timed wait nor shuts down.
"""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

os.environ.setdefault("OSKEN_HUB_TYPE", "eventlet")
warnings.filterwarnings("ignore", category=DeprecationWarning, module="eventlet")
warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")


def _restore_for_ryu() -> None:
    """Put back what stock Ryu 4.34 imports from eventlet and newer releases took away."""
    wsgi = importlib.import_module("eventlet.wsgi")
    if not hasattr(wsgi, "ALREADY_HANDLED"):
        wsgi.ALREADY_HANDLED = object()  # type: ignore[attr-defined]


try:
    importlib.import_module("os_ken")
    NAME = "os_ken"
except ImportError:
    try:
        _restore_for_ryu()
        importlib.import_module("ryu")
    except ImportError as error:
        raise ImportError("neither os-ken nor Ryu is installed: pip install os-ken") from error
    NAME = "ryu"

hub = importlib.import_module(f"{NAME}.lib.hub")
_hubs = importlib.import_module("eventlet.hubs")
cfg = importlib.import_module(f"{NAME}.cfg")
app_manager = importlib.import_module(f"{NAME}.base.app_manager")
ofp_event = importlib.import_module(f"{NAME}.controller.ofp_event")
handler = importlib.import_module(f"{NAME}.controller.handler")
controller = importlib.import_module(f"{NAME}.controller.controller")
ofp_handler = importlib.import_module(f"{NAME}.controller.ofp_handler")
ofproto_v1_3 = importlib.import_module(f"{NAME}.ofproto.ofproto_v1_3")
ofproto_v1_3_parser = importlib.import_module(f"{NAME}.ofproto.ofproto_v1_3_parser")
ofproto_v1_5 = importlib.import_module(f"{NAME}.ofproto.ofproto_v1_5")
ofproto_v1_5_parser = importlib.import_module(f"{NAME}.ofproto.ofproto_v1_5_parser")
ethernet = importlib.import_module(f"{NAME}.lib.packet.ethernet")
vlan = importlib.import_module(f"{NAME}.lib.packet.vlan")
ipv4 = importlib.import_module(f"{NAME}.lib.packet.ipv4")
ipv6 = importlib.import_module(f"{NAME}.lib.packet.ipv6")


def _leave_the_hub_of_the_parent() -> None:
    """Have a forked process make a hub of its own: one epoll set for both would wake the wrong one."""
    former = _hubs.get_hub()
    former.poll.close()  # here and now: the number may be given to another file before it is collected
    _hubs.use_hub()


os.register_at_fork(after_in_child=_leave_the_hub_of_the_parent)


class Alarm:
    """What a thread waits at for a while, unless another has it wake sooner.

    `hub.Event` ends a timed wait by an exception, which costs more than what most waits are for.
    """

    def __init__(self) -> None:
        self._timer: Any = None

    def wait(self, seconds: float) -> None:
        """Wait, as the only thread."""
        self._switch = hub.getcurrent().switch
        self._set(seconds)
        try:
            _hubs.get_hub().switch()
        finally:
            self._timer.cancel()
            self._timer = None

    def wake(self) -> None:
        """Have the thread that waits go on when it is its turn, if one waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._set(0.0)

    def _set(self, seconds: float) -> None:
        self._timer = _hubs.get_hub().schedule_call_global(seconds, self._switch)


BaseApp = app_manager.OSKenApp if NAME == "os_ken" else app_manager.RyuApp
HANDLER_MODULE = ofp_handler.__name__
