"""Links: delay, loss and rate by netem or relay, veth pairs, cutting a link."""
