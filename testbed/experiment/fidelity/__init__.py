"""Fidelity of a run: links, paths, processors, and the verdict."""
