"""Flow entries and groups of a Dyncast switch, as OpenFlow messages; no session."""
