"""`python -m testbed.agents.name_server CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.name_server.config import NameServerConfig
from testbed.agents.name_server.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(NameServerConfig, serve, sys.argv))
