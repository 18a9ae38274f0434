"""Open vSwitch: bridges, conntrack zones, control sockets, tunnels."""
