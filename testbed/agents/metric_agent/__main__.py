"""`python -m testbed.agents.metric_agent CONFIG.json` (docs/processes.md)."""

import sys

from testbed.agents.metric_agent.config import MetricAgentConfig
from testbed.agents.metric_agent.process import serve
from testbed.runtime.lifecycle import run_recorded

if __name__ == "__main__":
    sys.exit(run_recorded(MetricAgentConfig, serve, sys.argv))
