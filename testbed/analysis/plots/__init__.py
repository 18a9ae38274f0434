"""Pictures of runs, one module each, in one style."""
