"""The processes that run inside namespaces: service instances and metric agents (D-MA).

One folder per process, such as `instance` and `metric_agent`; `http`, `host` and `functions` serve several of them.
They start by the dozen on few cores: the standard library and the light modules of `testbed` only.
"""
