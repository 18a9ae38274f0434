"""A client of update streams: its copies of resources, and what is wrong with what it was sent."""
