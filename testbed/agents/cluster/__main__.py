"""`python -m testbed.agents.cluster CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.cluster.config import ClusterConfig
from testbed.agents.cluster.process import serve_in_run
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(ClusterConfig, serve_in_run, sys.argv))
