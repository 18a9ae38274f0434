"""Experiments: the scenario schema, the plan made from it, the run, its records and its fidelity.

The only package that composes the adapters.
"""
