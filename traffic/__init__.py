"""Workloads: when flows arrive, the packets they consist of, and the process that sends them.

Pure: `arrivals`, `traces` but for its files. Scapy's only home: `content`. Sockets: `generator`, the door, its `loads`.
"""
