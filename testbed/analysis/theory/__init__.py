"""Runs compared with theory: queueing formulas, Little's law, RTP jitter, conservation of packets."""
