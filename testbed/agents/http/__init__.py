"""HTTP for all agents: protocol, server and admin port."""
