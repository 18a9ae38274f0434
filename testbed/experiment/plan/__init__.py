"""From a scenario to a checked plan: topology, addresses, clients, faults, and the part of each system."""
