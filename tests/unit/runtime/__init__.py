"""Tests of testbed.runtime."""
