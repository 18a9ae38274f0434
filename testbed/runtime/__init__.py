"""The life cycle shared by all processes: configuration, event loop, signals, child commands, polling."""
