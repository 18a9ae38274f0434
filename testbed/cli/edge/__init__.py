"""Commands that serve: faas (an edge computing cluster alone)."""
