"""Dyncast's part of a plan: instances, agents, Dispatchers, the name server."""
