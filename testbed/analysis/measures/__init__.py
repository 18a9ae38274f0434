"""Figures of a run: summary, comparison, opinion scores, and their tables on a terminal."""
