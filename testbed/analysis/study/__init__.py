"""Studies: table, factors, baselines, figures and pictures of many runs."""
