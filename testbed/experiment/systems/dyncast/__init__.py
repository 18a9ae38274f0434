"""Dyncast's keys of a scenario: control, steering, metrics, DNS, Dispatchers, D-SID ranges."""
