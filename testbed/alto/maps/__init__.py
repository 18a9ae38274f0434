"""What a network is like: network maps, cost maps, properties of endpoints and of entities."""
