"""How packets of a service travel, and what the ingress picks: the scenario keys of both.

Part of the schema in `scenario`, which checks them against the keys beside them. The descriptions are the
documentation.
"""

from __future__ import annotations

from typing import Literal

from testbed.dyncast.affinity.service import steering_problem
from testbed.dyncast.nodes.dns_steering import DNS_TTL
from testbed.dyncast.policies import ORACLE, POLICIES
from testbed.experiment.schema_parts import Part


class SteeringKeys(Part):
    """Keys of a service."""

    steering: Literal["rewrite", "tunnel"] = "rewrite"
    """How packets get to the instance: rewrite has the ingress write the D-BID in place of the D-SID, and back in
    answers; tunnel leaves them as they are, takes them to the egress by VXLAN, and has the instance answer from the
    D-SID."""
    choice: Literal["instance", "site"] = "instance"
    """What the ingress picks: an instance anywhere, or (steering tunnel) a site, whose D-Router picks the instance."""
    local_policy: str | None = None
    """choice site: the policy by which an egress picks among its instances; default: the one that
    picked the site."""

    def check_steering(self, policy: str, affinity_mode: str, flow_fields: tuple[str, ...]) -> None:
        """Raise ValueError, beginning with the key, where a service cannot be steered so."""
        problem = steering_problem(self.steering, self.choice, affinity_mode, flow_fields)
        if problem is not None:
            raise ValueError(f"{'choice' if problem.startswith('choice') else 'steering'}: {problem}")
        if self.steering == "tunnel" and policy == DNS_TTL:
            raise ValueError("steering: tunnel takes packets to a D-SID, and under the policy dns_ttl there are none")
        if self.choice == "site" and policy == ORACLE:
            raise ValueError("choice: the policy oracle looks at instances, not at sites; take another policy")
        if self.local_policy is not None and self.choice != "site":
            raise ValueError("local_policy: only choice site leaves something to pick at the egress")
        if self.local_policy is not None and self.local_policy not in {*POLICIES} - {ORACLE}:
            known = ", ".join(sorted({*POLICIES} - {ORACLE}))
            raise ValueError(f"local_policy: {self.local_policy!r} does not exist; there are: {known}")
