"""Decisions of a run against an oracle: regret, balance and stability of load, what steering cost."""
