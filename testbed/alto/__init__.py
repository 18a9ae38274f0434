"""ALTO (RFC 7285) as pure logic: maps, costs, a server and a client; no clock, socket, log or framework.

Octets come in and go out as values: `service` answers requests, `client` makes requests and reads answers, and whoever
has sockets carries them. Extensions: several costs at once and OR of constraints (RFC 8189), entity property maps
(RFC 9240), performance metrics (RFC 9439).

`maps` is what the network is like; `network` is what is known of one without measuring, `reports` what is measured.
`costs` is what a cost means and how it is compared; `directory` says which resources there are. `names`, `media_types`,
`errors`, `json_octets` and `version_tags` are what all of them are written with.
"""
