"""From a scenario to a checked plan: topology, addresses, instances, name server, faults. Pure."""
