"""The cluster client as pure logic: which function is delivered where, and which cluster each user is sent to.

`client.ClusterClient` is the door: requests of users, lists of clusters and reports of deliveries come in with
`now_s`, `actions` go out. It is made of `copies` (a function at a cluster, and the states of that), `placements` (where
the users of a site have a function), `lists` (what is known of clusters, and when to ask again), `waiting` (requests
that wait) and `loads` (what was sent where).
Draft: draft-alto-deliver-functions, section 5, steps 2 to 4 of figure 2. Which cluster is better than another, a policy
of `testbed.faas.placement` says. Has no clock, socket, log or random numbers of its own.
"""
