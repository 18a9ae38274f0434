"""Tests of testbed.experiment."""
