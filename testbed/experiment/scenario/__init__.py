"""The scenario: its schema by section, its file, and the rules between sections."""
