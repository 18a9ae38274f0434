"""What function delivery adds to the analysis of a run: of what response times consist, by cluster and start."""

from testbed.analysis import drawing_library as drawing_library
