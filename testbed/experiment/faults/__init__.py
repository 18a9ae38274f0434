"""Faults: their schedule, and the operations that they perform on a running testbed."""
