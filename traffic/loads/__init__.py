"""Loads of a generator, one module each, and the output of load tools."""
