"""Each steering system's part of an experiment, one folder per system."""
