"""Dyncast's share of the report: sections of the page, tables of the terminal, pictures."""
