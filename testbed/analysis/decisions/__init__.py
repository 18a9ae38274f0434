"""Decisions of a run: regret against the best choice, balance, stability, cost of steering."""
