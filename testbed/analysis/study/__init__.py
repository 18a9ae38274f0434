"""Studies: table, factors, baselines, figures and pictures of many runs."""

from testbed.analysis import drawing_library as drawing_library
