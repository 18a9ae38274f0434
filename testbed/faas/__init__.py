"""An edge computing cluster as a FaaS platform, as pure logic: actions, containers, activations, its REST API.

`cluster.Cluster` is the door: requests of the API and reports of containers come in with `now_s`, `orders` go out. It
is made of `actions` (what can be invoked), `pool` (containers and the activations that wait for one), `activations`
(what became of each), `api` (requests read, answers written, admission) and `delivery` (functions as content).
Draft: draft-alto-deliver-functions, "edge computing cluster"; the API and the contract of its runtimes are those of
Apache OpenWhisk. Has no clock, socket, file or process.
"""
