"""Flow arrivals: point processes, their file, schedules, and which arrivals are due. Pure."""
