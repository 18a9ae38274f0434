"""The least a reactive os-ken app can do: one Flow-Mod and one Packet-Out per Packet-In. A baseline.

Started as a program: `minimal_app.py FD D_SID UPLINK_PORT D_BID…`. It sends each new flow to the next D-BID in
turn, remembers nothing, and reads of a packet just the addresses and ports, at the places where plain IPv4 has them.
"""

from __future__ import annotations

import struct
import sys
from itertools import cycle
from socket import inet_ntoa
from typing import Any

from ryu_apps.openflow.framework import HANDLER_MODULE, BaseApp, app_manager, cfg, handler, hub, ofp_event
from ryu_apps.openflow.framework import ofproto_v1_3 as ofp
from ryu_apps.openflow.framework import ofproto_v1_3_parser as parser
from ryu_apps.openflow.switch_listener import listen

_HEADERS = struct.Struct("!23xB2x4s4sHH")  # of Ethernet and IPv4 without options, and the ports
_PORT_FIELDS = {6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}


class Minimal(BaseApp):  # type: ignore[misc]
    """Bind each flow by its five-tuple, one way."""

    OFP_VERSIONS = [ofp.OFP_VERSION]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.d_sid, uplink, *d_bids = sys.argv[2:]
        self.uplink_port = int(uplink)
        self.d_bids = cycle(d_bids)

    @handler.set_ev_cls(ofp_event.EventOFPSwitchFeatures, handler.CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def on_switch(self, event: Any) -> None:
        """Have first packets sent up."""
        datapath = event.msg.datapath
        to_controller = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
        self._add(datapath, 100, parser.OFPMatch(eth_type=0x0800, ipv4_dst=self.d_sid), to_controller)

    @handler.set_ev_cls(ofp_event.EventOFPPacketIn, handler.MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def on_packet_in(self, event: Any) -> None:
        """Bind the flow and send its first packet on."""
        message = event.msg
        datapath = message.datapath
        proto, src, dst, src_port, dst_port = _HEADERS.unpack_from(message.data)
        ports = dict(zip(_PORT_FIELDS[proto], (src_port, dst_port), strict=True))
        addresses = {"ipv4_src": inet_ntoa(src), "ipv4_dst": inet_ntoa(dst)}
        match = parser.OFPMatch(eth_type=0x0800, **addresses, ip_proto=proto, **ports)
        actions = [parser.OFPActionSetField(ipv4_dst=next(self.d_bids)), parser.OFPActionOutput(self.uplink_port)]
        self._add(datapath, 200, match, actions, cookie=0xD1 << 48, idle_timeout=600)
        datapath.send_msg(
            parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=ofp.OFP_NO_BUFFER,
                in_port=message.match["in_port"],
                actions=actions,
                data=message.data,
            )
        )

    def _add(self, datapath: Any, priority: int, match: Any, actions: list[Any], **more: int) -> None:
        instructions = [parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)]
        datapath.send_msg(
            parser.OFPFlowMod(datapath=datapath, priority=priority, match=match, instructions=instructions, **more)
        )


def _serve(descriptor: int) -> None:
    hub.patch(thread=False)
    cfg.CONF([], project="minimal")
    listen(descriptor)
    apps = app_manager.AppManager.get_instance()
    apps.load_apps([HANDLER_MODULE])
    apps.applications_cls[__name__] = Minimal
    apps.instantiate_apps(**apps.create_contexts())
    hub.Event().wait()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
