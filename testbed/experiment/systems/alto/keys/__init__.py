"""Keys of a scenario about functions and clusters, a module each section."""
