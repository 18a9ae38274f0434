"""One run from begin to end: load, baseline measures, captures, collected records."""
