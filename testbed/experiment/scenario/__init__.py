"""The scenario: its schema by section, put together with that of systems; its file, and its rules."""
