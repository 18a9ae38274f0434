"""`python -m testbed.agents.cluster_client CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.cluster_client.config import ClusterClientConfig
from testbed.agents.cluster_client.process import serve_in_run
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(ClusterClientConfig, serve_in_run, sys.argv))
