"""OpenFlow for every app: framework, wire format, packet headers, management sessions, counts."""
