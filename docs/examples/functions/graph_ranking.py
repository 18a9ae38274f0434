"""The nodes of a graph that matter most, by PageRank, with networkx (layer `packages`).

Parameters: `edges`, a list of pairs (left out: a random scale-free graph of `nodes` nodes by `seed`); `most`, how many
are returned. Result: nodes with their ranks, the first one first.
"""

import networkx


def main(args):
    """Rank once."""
    if "edges" in args:
        graph = networkx.DiGraph([tuple(edge) for edge in args["edges"]])
    else:
        graph = networkx.barabasi_albert_graph(int(args.get("nodes", 2000)), 3, seed=int(args.get("seed", 1)))
    ranks = networkx.pagerank(graph)
    first = sorted(ranks.items(), key=lambda item: -item[1])[: int(args.get("most", 5))]
    return {"nodes": len(graph), "ranking": [[node, rank] for node, rank in first]}
