"""`python -m testbed.emulation.relay CONFIG.json` (docs/processes.md)."""

import sys

from testbed.emulation.relay.config import RelayConfig
from testbed.emulation.relay.process import carry
from testbed.runtime.lifecycle import run

if __name__ == "__main__":
    sys.exit(run(RelayConfig, carry, sys.argv))
