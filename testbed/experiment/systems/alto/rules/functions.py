"""What functions and clusters need of each other: places, memory, layers that mean one thing."""

from __future__ import annotations

from testbed.experiment.scenario.scenario import Scenario
from testbed.experiment.systems.alto.scenario import AltoScenario

_PREWARMED_MB = 256


def functions_and_clusters_need_each_other(scenario: Scenario) -> None:
    """A function runs at a cluster, and a cluster without functions does nothing."""
    keys = AltoScenario.of(scenario)
    if keys.functions and not keys.clusters:
        raise ValueError("clusters: functions run at clusters, and there is none")
    if keys.clusters and not keys.functions:
        raise ValueError("functions: there are clusters, and nothing that they could run")


def sites_have_one_cluster(scenario: Scenario) -> None:
    """A site has one cluster."""
    seen: set[str] = set()
    for number, cluster in enumerate(AltoScenario.of(scenario).clusters):
        if cluster.site in seen:
            raise ValueError(
                f"clusters[{number}].site: there is a cluster at {cluster.site!r} already; raise its slots"
            )
        seen.add(cluster.site)


def prewarmed_containers_fit(scenario: Scenario) -> None:
    """What waits for code has a slot and memory."""
    for number, cluster in enumerate(AltoScenario.of(scenario).clusters):
        count = sum(cluster.prewarm.values())
        if count > cluster.slots or count * _PREWARMED_MB > cluster.memory_mb:
            raise ValueError(
                f"clusters[{number}].prewarm: {count} containers of {_PREWARMED_MB} MB are more than {cluster.slots} "
                f"slots and {cluster.memory_mb} MB hold"
            )


def layers_have_one_folder(scenario: Scenario) -> None:
    """A layer is one folder, whichever function asks for it: clusters know it by its name."""
    folders: dict[str, str] = {}
    for name, function in AltoScenario.of(scenario).functions.items():
        for layer, folder in function.layers.items():
            if folders.setdefault(layer, folder) != folder:
                raise ValueError(
                    f"functions.{name}.layers.{layer}: is {folders[layer]!r} for another function; name one of them "
                    "differently"
                )


def clusters_hold_what_is_delivered(scenario: Scenario) -> None:
    """A function is delivered to clusters that are there, and that have the memory for it."""
    keys = AltoScenario.of(scenario)
    at_site = {cluster.site: cluster for cluster in keys.clusters}
    for name, function in keys.functions.items():
        for site in function.delivered_to:
            if site not in at_site:
                there_are = ", ".join(at_site)
                raise ValueError(f"functions.{name}.delivered_to: no cluster is at {site!r}; they are at {there_are}")
            if function.memory_mb > at_site[site].memory_mb:
                raise ValueError(
                    f"functions.{name}.memory_mb: the cluster at {site} has {at_site[site].memory_mb} MB for all its "
                    f"containers, and one of this function takes {function.memory_mb}"
                )
