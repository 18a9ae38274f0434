"""How an instance is found among a thousand: one selector for each way in which a policy may choose."""
