"""A finished run against theory: queues against M/M/c and Little's law, RTP against its links, packets against counts.

Owns which checks there are. These assess the emulation, where `flows.consistency` assesses whether the records agree; a
run to which a theory does not apply gets the reason.
"""

from __future__ import annotations

from testbed.analysis.run_data.configured import configured
from testbed.analysis.run_data.loading import RunData
from testbed.analysis.theory.packet_conservation import conservation_checks
from testbed.analysis.theory.queue_checks import queue_checks
from testbed.analysis.theory.rtp_jitter_checks import jitter_checks
from testbed.analysis.theory.theory_outcomes import TheoryReport


def theory_checks(run: RunData) -> TheoryReport:
    """Hold a run against theory. Raises RunDataError if what it was meant to be cannot be read."""
    meant = configured(run.run_dir)
    return TheoryReport.of([*queue_checks(run, meant), *jitter_checks(run, meant), *conservation_checks(run, meant)])
