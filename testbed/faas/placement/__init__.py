"""At which clusters a function should be: what is known of clusters and paths, predicted times of answers, policies.

`candidates` leaves out what cannot hold the function or is silent, `prediction` says in which parts an answer's time
falls at each of the others, and one of `policies` ranks them. Draft: draft-alto-deliver-functions, section 5. Knows
nothing of ALTO's messages, nor of what is delivered where: that is the cluster client's business.
"""
