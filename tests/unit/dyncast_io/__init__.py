"""Tests of testbed.dyncast_io."""
