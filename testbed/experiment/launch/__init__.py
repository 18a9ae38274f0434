"""From a plan to running processes: configurations, files, keys, sockets, life cycle."""
