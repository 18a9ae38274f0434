"""Queueing models: the c-worker queue, service time distributions, an M(t)/M/c estimate. Pure."""
