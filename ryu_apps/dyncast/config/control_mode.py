"""Who decides, as a control process is told: the key `control` of its configuration (docs/processes.md). Pure.

{"mode": "centralized", "controller": "chicago", "interval_s": 0.5, "lifetime_s": 10, "settle_s": 1}
"""

from __future__ import annotations

from functools import partial

from testbed.dyncast.control.role import DISTRIBUTED, MODES, Control
from testbed.runtime.config import Keys


def control(keys: Keys) -> Control:
    """Take the key; absent, each D-Router decides for itself. Raises ConfigError."""
    return keys.optional("control", partial(keys.section, check=_control), DISTRIBUTED)


def _control(keys: Keys) -> Control:
    return Control(
        mode=keys.one_of("mode", MODES[1:]),
        controller=keys.text("controller"),
        interval_s=keys.positive("interval_s"),
        lifetime_s=keys.positive("lifetime_s"),
        settle_s=keys.number("settle_s", 0),
    )
