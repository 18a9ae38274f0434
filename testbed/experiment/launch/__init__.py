"""A testbed that stands: network, processes and their life cycle; what each system does on it."""
