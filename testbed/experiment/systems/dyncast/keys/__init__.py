"""Dyncast's keys of a scenario, a module each section."""
