"""The host a process runs on: addresses, datagrams, resource use, CPU limits, the flows that arrive."""
