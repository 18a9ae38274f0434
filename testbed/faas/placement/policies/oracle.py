"""The oracle: the costs of `alto` by the true state of all clusters and paths at the moment of each decision.

No cluster client could know that. What makes it omniscient is the views that it is called with: whoever runs it takes
them out of band (`testbed.agents.cluster_client.truth`), where in the draft they travel through the network. It is a
bound to compare policies with.
"""

from __future__ import annotations

from testbed.faas.placement.policies.alto import Alto

ORACLE = "oracle"


class Oracle(Alto):
    """path + wait + run, and the delivery and the start shared by the requests of the horizon; all of it true."""
