"""Simulation: the pure cores in virtual time, over a modelled network. Pure: its randomness comes from a seed."""
