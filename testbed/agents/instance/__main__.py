"""`python -m testbed.agents.instance CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.instance.config import InstanceConfig
from testbed.agents.instance.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(InstanceConfig, serve, sys.argv))
