"""The processes that run inside namespaces: service instances and metric agents (D-MA).

They start by the dozen on few cores: the standard library and the light modules of `testbed` only.
"""
