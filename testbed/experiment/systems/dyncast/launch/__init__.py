"""Dyncast's processes on a testbed: D-Routers, Dispatchers, instances, D-MAs, the name server."""
