"""Datapath mode: weighted groups of instances, among which the switch binds new flows."""
