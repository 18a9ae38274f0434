"""Dyncast's share of the report: sections of the page, tables of the terminal, pictures."""

from testbed.analysis import drawing_library as drawing_library
