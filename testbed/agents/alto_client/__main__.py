"""`python -m testbed.agents.alto_client CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.alto_client.config import AltoClientConfig
from testbed.agents.alto_client.process import serve_in_run
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(AltoClientConfig, serve_in_run, sys.argv))
