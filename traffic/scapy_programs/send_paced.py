# SPDX-License-Identifier: GPL-2.0-only
"""Scapy's `sendp` at a rate, as a baseline of benchmarks: `send_paced.py SOURCE SINK PORT RATE COUNT`.

A program of its own, under the licence of Scapy (LICENSE in this folder) and not that of what starts it: nothing
imports it, and it imports nothing of the testbed.
"""

import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.sendrecv import sendp


def main() -> None:
    """Send."""
    source, sink, port, rate, count = sys.argv[1:]
    header = Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src=source, dst=sink) / UDP(sport=int(port), dport=int(port))
    frame = header / Raw(bytes(192))
    sendp([frame] * int(count), iface="eth0", inter=1 / float(rate), verbose=False)


if __name__ == "__main__":
    main()
