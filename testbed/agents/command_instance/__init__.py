"""The command instance: runs, limits and measures a program that others wrote."""
