"""Flow arrivals: point processes, their file, turns, schedules. Pure."""
