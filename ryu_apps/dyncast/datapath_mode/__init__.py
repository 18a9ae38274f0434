"""Datapath mode: pools of instances, among which the switch binds new flows itself."""
