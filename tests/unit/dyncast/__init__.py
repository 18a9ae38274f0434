"""Tests of testbed.dyncast."""
