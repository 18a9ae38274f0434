"""Rules between the sections of a scenario; each raises ValueError that begins with the key."""
