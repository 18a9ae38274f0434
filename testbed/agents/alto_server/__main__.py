"""`python -m testbed.agents.alto_server CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.alto_server.config import AltoServerConfig
from testbed.agents.alto_server.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(AltoServerConfig, serve, sys.argv))
