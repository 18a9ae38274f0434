"""Studies: cases by factor and seed, their folder, the sweep that runs them, its progress."""
