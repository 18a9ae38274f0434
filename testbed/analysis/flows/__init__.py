"""Flows of a run: attribution to instances, consistency of the records, sessions, calls, effects of faults."""
