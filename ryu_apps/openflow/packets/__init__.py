"""Packets as octets: where their parts are, the flows they are of, fragments, ICMP errors, rewriting."""
