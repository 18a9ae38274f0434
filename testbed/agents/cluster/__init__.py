"""An edge computing cluster as a process: its REST API over HTTP, its containers on this machine."""
