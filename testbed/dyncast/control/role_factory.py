"""Which role a D-Router has in which mode.

Pure. One place that knows all roles; a new mode is one file and one line here.
"""

from __future__ import annotations

from testbed.dyncast.control.controller import Controller
from testbed.dyncast.control.follower import Follower
from testbed.dyncast.control.hybrid import Hybrid
from testbed.dyncast.control.role import Control, Role, RoleContext


def is_follower(site: str, control: Control) -> bool:
    """Return whether the D-Router of a site follows the controller."""
    return control.mode == "centralized" and site != control.controller


def create(context: RoleContext) -> Role:
    """Return the role of a D-Router."""
    if context.control.mode == "hybrid":
        return Hybrid(context)
    if context.control.mode == "centralized":
        return Follower(context) if is_follower(context.state.site, context.control) else Controller(context)
    return Role(context)
