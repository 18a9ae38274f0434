"""Updates of resources by server-sent events (RFC 8895): the streams of a server, and a client of one.

`service` has the streams of a server, and `served_streams` joins them to what an ALTO server knows; `following` has a
client. Between them go `stream_requests`, and `events` with control updates or data: whole resources, and `patches`,
those of costs made from what changed alone. `resources` is what a stream asks of what it is of.
"""
