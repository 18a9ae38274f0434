"""Tests of ryu_apps."""
