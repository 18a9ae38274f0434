"""Tests of testbed.simulation."""
