"""Rules of function delivery over a whole scenario, in their order; each raises ValueError that begins with the key."""

from testbed.experiment.systems.alto.rules.delivery import deliveries_carry_all_of_a_function
from testbed.experiment.systems.alto.rules.functions import (
    clusters_hold_what_is_delivered,
    functions_and_clusters_need_each_other,
    layers_have_one_folder,
    prewarmed_containers_fit,
    sites_have_one_cluster,
)
from testbed.experiment.systems.alto.rules.steering import steered_functions_can_be
from testbed.experiment.systems.alto.rules.workloads import invocations_find_a_cluster

RULES = (
    functions_and_clusters_need_each_other,
    sites_have_one_cluster,
    prewarmed_containers_fit,
    layers_have_one_folder,
    clusters_hold_what_is_delivered,
    deliveries_carry_all_of_a_function,
    steered_functions_can_be,
    invocations_find_a_cluster,
)
