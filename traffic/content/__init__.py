"""Content of flows: packets, G.711, streams, HTTP exchanges."""
