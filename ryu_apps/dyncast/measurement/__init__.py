"""Measurements of a D-Router besides round trips: port counters, returned ICMP messages."""
