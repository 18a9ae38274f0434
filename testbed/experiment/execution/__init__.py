"""One run from begin to end: preparation, load, captures, assessment, collected records."""
