"""Benchmarks of ALTO: a server with a million costs, what it sends, and to whom how soon."""
