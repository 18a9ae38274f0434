"""Pictures of runs, one module each, in one style."""

from testbed.analysis import drawing_library as drawing_library
