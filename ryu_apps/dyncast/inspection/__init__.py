"""Inspection of a control process: its answers, and the Unix socket it is asked at."""
