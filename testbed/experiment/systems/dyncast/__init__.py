"""Dyncast in an experiment: keys and rules, plan, processes, load and figures. `system` is the door."""
