"""Commands about traces of invocations: show (what is in one), make (a synthetic one)."""
