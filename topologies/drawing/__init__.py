"""Layout of a drawn topology: places of nodes and labels. Pure."""
