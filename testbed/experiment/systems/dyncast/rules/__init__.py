"""Dyncast's rules over a whole scenario, in their order; each raises ValueError that begins with the key."""

from testbed.experiment.systems.dyncast.rules.commands import check_commands
from testbed.experiment.systems.dyncast.rules.learnt_services import check_learnt
from testbed.experiment.systems.dyncast.rules.offered_services import offered_services_fit
from testbed.experiment.systems.dyncast.rules.services import (
    control_can_be,
    d_sids_are_of_ranges,
    d_sids_differ,
    dispatchers_can_be_believed,
    policies_exist,
    ports_are_free,
    services_can_be_steered,
    services_have_instances,
)
from testbed.experiment.systems.dyncast.rules.workloads import flows_have_services

RULES = (
    d_sids_are_of_ranges,
    policies_exist,
    ports_are_free,
    services_can_be_steered,
    services_have_instances,
    flows_have_services,
    d_sids_differ,
    offered_services_fit,
    control_can_be,
    dispatchers_can_be_believed,
    check_learnt,
    check_commands,
)
