"""What a node knows of others: bindings, paths, ports, liveness, failures."""
