"""The report: one self-contained HTML file per run, and one per study.

`files` finds out what a folder is and writes the file · `run` and `study` put a page together, section by section, and
draw its pictures · `blocks` says what a page consists of and renders it. Sections of systems come from their analysis.
Nothing in a page comes from elsewhere: no script, no font, no picture.
"""

from testbed.analysis import drawing_library as drawing_library
