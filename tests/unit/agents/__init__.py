"""Tests of testbed.agents."""
