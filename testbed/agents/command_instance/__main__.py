"""`python -m testbed.agents.command_instance CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.command_instance.config import CommandConfig
from testbed.agents.command_instance.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(CommandConfig, serve, sys.argv))
