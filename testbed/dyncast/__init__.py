"""The Dyncast roles as pure logic: no clock, socket, log or global randomness.

`now_s` and random generators come in, actions go out. The controller, the agents, a simulator and the
tests drive the same objects. Vocabulary: draft-li-rtgwg-dyncast-architecture and
draft-li-rtgwg-cfn-dyncast-architecture.

`nodes` is the door: `DRouter` and its kin. They are made of `monitoring`, `selection` (by `policies`), `affinity` and
`control`; `messages` carry `metrics` between them, and `metric_agent` is where these come from. `actions` are what
a node asks of its adapter, `events` what it notes for the record.
"""
