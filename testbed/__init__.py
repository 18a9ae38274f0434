"""The Dyncast testbed: the pure core, the emulation around it, experiments and their analysis."""

__version__ = "0.1.0"
