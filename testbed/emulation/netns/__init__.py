"""Network namespaces, their interfaces, and iproute2."""
