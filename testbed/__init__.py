"""The Dyncast testbed: the pure core, the emulation around it, experiments and their analysis.

From the top floor down, each importing only those below it (pyproject.toml has the contract):
`cli` · `benchmarks` · `simulation` · `experiment` · `agents`, `emulation`, `analysis` (beside `ryu_apps` and `traffic`)
· `dyncast_io` · `runtime` · `linux` · `dyncast` · `net`, `queueing`, `rtp`, `records` (beside `topologies`) ·
`systems`, which lists the systems · `errors`, the base of all that are expected.
"""

__version__ = "0.1.0"
