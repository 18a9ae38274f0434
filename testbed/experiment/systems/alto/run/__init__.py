"""Function delivery while a run goes on, and what its manifest says of it."""
