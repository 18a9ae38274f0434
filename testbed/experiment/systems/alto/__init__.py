"""ALTO-guided function delivery in an experiment: keys and rules, plan, processes, load, what its server knows."""
