"""A run's files, read and checked, and what follows from them directly."""
