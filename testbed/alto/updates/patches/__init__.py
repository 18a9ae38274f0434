"""What changed in a resource, as a JSON merge patch (RFC 7396)."""
