"""Workloads: when flows arrive, the packets they consist of, and the process that sends them.

Pure: `arrivals`. Scapy's only home: `content`. Sockets: `generator`, the door, and its `loads`.
"""
