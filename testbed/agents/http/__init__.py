"""HTTP for all agents: protocol, server and admin port, bounded connections of aiohttp's servers."""
