"""Actions: what can be invoked, its documents in the API, its archives, the register of those that a cluster holds."""
