"""The part of function delivery in a plan: clusters on their hosts, who invokes what where."""
