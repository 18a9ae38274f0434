"""The oracle: the Dyncast cost by the true state of every instance at the moment of each decision.

No D-Router could do that. It knows out of band and at once, through memory that it shares with the instances and the
other ingresses (`selection.oracle_view`), what in the drafts travels in reports: it is a bound to compare policies
with, not one to deploy. What makes it omniscient is the candidates that it sees; the cost is that of `dyncast`, whose
expectation of the sessions is here their true number and those under way, without a variance.
"""

from __future__ import annotations

from testbed.dyncast.policies.dyncast import DyncastPolicy

ORACLE = "oracle"


class Oracle(DyncastPolicy):
    """Weight one for the least cost: path + wait behind sessions there or under way + service + chance of refusal."""
