"""The server of ALTO without its sockets: requests in, answers out, over what is known of the network.

`Service` in `service.py` is the door; `exchange` has requests and answers, `knowledge` what is served. A process sets
what it measured (`service.update(service.knowledge.with_costs(…))`), and the next answer has it.
"""
