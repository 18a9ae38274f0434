"""Benchmarks of an ingress: new flows, packets, weights and reports, through a real switch."""
