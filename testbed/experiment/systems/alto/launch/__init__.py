"""Processes of function delivery on a testbed: clusters, their functions, and users who invoke them."""
