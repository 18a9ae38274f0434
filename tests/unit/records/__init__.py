"""Tests of testbed.records."""
