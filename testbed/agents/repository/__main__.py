"""`python -m testbed.agents.repository CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.repository.config import RepositoryConfig
from testbed.agents.repository.process import serve_in_run
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(RepositoryConfig, serve_in_run, sys.argv))
