"""What a cost means and how costs are compared: cost types, metrics, constraints, ranks, statistics."""
