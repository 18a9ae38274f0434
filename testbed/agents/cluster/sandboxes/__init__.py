"""Sandboxes: in what a container is locked up, which of them work on this machine, and its limits by control groups."""
