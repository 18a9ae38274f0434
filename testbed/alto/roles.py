"""The roles of nodes that function delivery adds to a network: those of figure 1 of draft-alto-deliver-functions."""

from __future__ import annotations

from topologies.roles import Kind, Role

CLUSTER = Role("cluster", Kind.HOST, "edge computing cluster")
REPOSITORY = Role("repository", Kind.HOST, "repository of functions")
ALTO_SERVER = Role("alto_server", Kind.HOST, "ALTO server")
ALTO_CLIENT = Role("alto_client", Kind.HOST, "ALTO client")
CLUSTER_CLIENT = Role("cluster_client", Kind.HOST, "cluster client")

ROLES = (CLUSTER, REPOSITORY, ALTO_SERVER, ALTO_CLIENT, CLUSTER_CLIENT)
