"""Tests of testbed.linux."""
