"""Workloads: when flows arrive, the packets they consist of, and the process that sends them.

Pure: arrivals, g711, stream_file, schedule. Scapy's only home: packets. Sockets: generator and its loads.
"""
