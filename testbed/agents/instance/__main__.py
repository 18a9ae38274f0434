"""`python -m testbed.agents.instance CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.instance.config import instance_config
from testbed.agents.instance.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(instance_config, serve, sys.argv))
