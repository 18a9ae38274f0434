"""Commands that look into a run that is up: inspect, bindings."""
