"""Events of an update stream: their octets, their kinds, and what a stream says of itself (RFC 8895, section 5)."""
