"""Dyncast while a run goes on: the load that it offers, the load of its instances, its fidelity figures."""
