"""The tables of function delivery: what became of each invocation, what ALTO servers answered and were reported.

Owns their columns and what these mean; whoever writes rows, at a user, a cluster or a server, adds its columns here.
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.records.columns import BYTES, MILLISECONDS, SECONDS, Table, number, text, whole, word

TABLES: Mapping[str, Table] = {
    "activations": Table(
        "invocation of a function by a user, with the parts of its response time; a row of `flows` has the rest",
        {
            "flow_id": text("its row in `flows`", required=True),
            "activation_id": text("what the cluster calls it; none where none says so"),
            "function": word("its name in the scenario", required=True),
            "client": word("host of the user", required=True),
            "ingress": word("site of the user"),
            "asked": word("who was asked first: a cluster, the cluster client, a D-SID"),
            "cluster": word("who answered in the end"),
            "cluster_site": word("where that cluster is"),
            "due_s": number(SECONDS, "when it was due by the schedule", required=True),
            "redirects": whole("times that it was sent elsewhere, before the answer"),
            "redirect_ms": number(MILLISECONDS, "from due until it was sent elsewhere for the last time"),
            "path_ms": number(
                MILLISECONDS, "the way there and back: what is left of the response time without all other parts"
            ),
            "wait_ms": number(MILLISECONDS, "in the cluster's queue, until a container was found or started for it"),
            "start_ms": number(MILLISECONDS, "until a new container had started: 0 where there was one"),
            "init_ms": number(MILLISECONDS, "until the container had the code: 0 where it held it"),
            "run_ms": number(MILLISECONDS, "of the function itself"),
            "response_ms": number(MILLISECONDS, "from due until the whole answer was there: all parts together"),
            "start": word("what it found: cold (nothing), prewarmed (a container), warm (one that holds the code)"),
            "status": word("of the activation, as the platform has it: success, application error and so on"),
            "http_status": whole("of the answer"),
        },
        since="2026-12-01",
    ),
    "deliveries": Table(
        "delivery of a function to a cluster that is over, as the cluster had it; octets are those of code and layers",
        {
            "function": word("its name; none where its manifest never came"),
            "digest": text("of its manifest", required=True),
            "cluster": word("where it was delivered to", required=True),
            "cluster_site": word("where that cluster is"),
            "repository": word("URL of where it came from"),
            "bytes": number(BYTES, "of all that the function consists of"),
            "bytes_held": number(BYTES, "of it, that the cluster held already"),
            "bytes_fetched": number(BYTES, "of it, that crossed the network for this delivery"),
            "resumed": whole("how often a fetch went on in the middle"),
            "began_s": number(SECONDS, "when it was asked for", required=True),
            "ended_s": number(SECONDS, "when it was over"),
            "outcome": word("done, failed or cancelled", required=True),
            "reason": text("why it failed"),
        },
        since="2026-12-01",
    ),
    "alto": Table(
        "message of ALTO, as its server or a client had it: an answer, changes on an update stream, a report, a list",
        {
            "time_s": number(SECONDS, "when it was sent, or came", required=True),
            "node": word("the server, or the ALTO client that writes it", required=True),
            "kind": word(
                "request (answered), update (on a stream), report (in band), list (for a cluster client)", required=True
            ),
            "peer": word("the client's address; the reporter; the server, if a client writes it"),
            "resource": text("path of what was asked for, or of the stream"),
            "outcome": word("HTTP status; of a report: changed, same (nothing is news), or why it was refused"),
            "bytes": number(BYTES, "of the body, before TLS; of a report, its payload"),
            "age_s": number(SECONDS, "since the newest report that the server has was sent; of a report, since it was"),
            "took_ms": number(MILLISECONDS, "from the request to the answer, where a client writes it"),
        },
        since="2026-12-01",
    ),
    "placements": Table(
        "decision of a cluster client on a user's request: where it is sent, and what was predicted",
        {
            "time_s": number(SECONDS, "when it was made", required=True),
            "node": word("the cluster client", required=True),
            "function": word("its name", required=True),
            "site": word("of the user; its address where it is of none"),
            "src": word("the user's address"),
            "outcome": word(
                "redirected (to a cluster), steered (to its D-SID), or why it was sent nowhere", required=True
            ),
            "cluster": word("where it was sent"),
            "waited_ms": number(MILLISECONDS, "for lists and deliveries, since the request came"),
            "age_s": number(SECONDS, "since what was known of the cluster was known; none: nothing was"),
            "delivery_ms": number(MILLISECONDS, "predicted: of what the cluster lacked"),
            "start_ms": number(MILLISECONDS, "predicted: of a container with the code"),
            "path_ms": number(MILLISECONDS, "predicted: between user and cluster, there and back"),
            "wait_ms": number(MILLISECONDS, "predicted: for a container"),
            "run_ms": number(MILLISECONDS, "predicted: of the function"),
            "reason": text("why it was sent nowhere, in a line"),
        },
        since="2026-12-01",
    ),
    "orders": Table(
        "order of a cluster client to a cluster: a function to be delivered to it, or removed from it",
        {
            "time_s": number(SECONDS, "when it was issued", required=True),
            "node": word("the cluster client", required=True),
            "function": word("its name", required=True),
            "cluster": word("its name", required=True),
            "order": word("deliver or remove", required=True),
            "ended_s": number(SECONDS, "when it was known to be over", required=True),
            "outcome": word("done or failed", required=True),
            "reason": text("why it failed"),
            "delivery_id": text("what the cluster calls the delivery"),
        },
        since="2026-12-01",
    ),
}
