# SPDX-License-Identifier: GPL-2.0-only
"""RTP packets by Scapy: descriptions come in at the standard input, packets go out at the standard output.

A program of its own, under the licence of Scapy (LICENSE in this folder) and not that of what starts it: nothing
imports it, and it imports nothing of the testbed. Each description is

    payload type (8) | marker (8) | sequence (16) | timestamp (32) | extension profile (16) | extension words (16)
    | payload length (32) | payload

in network order; each packet is preceded by its length (32).
"""

import struct
import sys

from scapy.layers.rtp import RTP, RTPExtension

_DESCRIPTION = struct.Struct("!BBHIHHI")
_LENGTH = struct.Struct("!I")


def main() -> None:
    """Write the packet of each description."""
    descriptions, packets = sys.stdin.buffer, sys.stdout.buffer
    while head := descriptions.read(_DESCRIPTION.size):
        payload_type, marker, sequence, timestamp, profile, words, length = _DESCRIPTION.unpack(head)
        packet = RTP(
            extension=1, marker=marker, payload_type=payload_type, sequence=sequence, timestamp=timestamp, sourcesync=0
        )
        packet /= RTPExtension(header_id=profile, header=[0] * words)
        packet /= descriptions.read(length)
        data = bytes(packet)
        packets.write(_LENGTH.pack(len(data)) + data)


if __name__ == "__main__":
    main()
