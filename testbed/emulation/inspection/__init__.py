"""Inspection of a running testbed: client of the control processes, binding tables, bound flows."""
