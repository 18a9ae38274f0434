"""Tests of testbed.analysis."""
