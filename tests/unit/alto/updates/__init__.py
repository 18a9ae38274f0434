"""Tests of `testbed/alto/updates`."""
