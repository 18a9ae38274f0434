"""The roles of nodes in Dyncast's networks.

Those of figure 1 of draft-li-rtgwg-dyncast-architecture: D-Routers at edge sites, with service instances and metric
agents; a Dispatcher (figure 1 of draft-li-rtgwg-cfn-dyncast-architecture) may stand between clients and their D-Router.
"""

from __future__ import annotations

from topologies.roles import Kind, Role

D_ROUTER = Role("d_router", Kind.EDGE, "D-Router", "edge site")
DISPATCHER = Role("dispatcher", Kind.SWITCH, "CFN Dispatcher")
INSTANCE = Role("instance", Kind.HOST, "service instance", serves=True)
AGENT = Role("agent", Kind.HOST, "metric agent")

ROLES = (D_ROUTER, DISPATCHER, INSTANCE, AGENT)
