"""Activations: what became of each run of an action, and the register of those that are over."""
