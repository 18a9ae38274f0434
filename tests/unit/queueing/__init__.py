"""Tests of testbed.queueing."""
