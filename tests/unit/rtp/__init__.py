"""Tests of testbed.rtp."""
