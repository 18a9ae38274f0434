"""Vocabulary of networking for all systems: addresses, flow keys, counters, rates, sequence numbers. Pure."""
