"""The processes that run inside namespaces: service instances and metric agents (D-MA).

One folder per process: `instance`, `command_instance`, `metric_agent`, `name_server`; `http` and `host` serve them all.
They start by the dozen on few cores: the standard library and the light modules of `testbed` only.
"""
