"""Instances that count what reaches them and report the load that one sets, and a testbed of such instances."""
