"""Flow affinity: services, the table of bound flows, packed keys."""
