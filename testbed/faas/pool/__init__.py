"""The container pool: containers by state, and the activations that run in them or wait for one."""
