"""Metrics of an instance: raw levels, wire fields, normalised scores."""
