"""The emulated network on a real machine: namespaces, links, bridges, their removal, and what the machine can do.

The only package that imports Mininet. `network.EmulatedNetwork` is the door; below it are
`wiring`, `links` (with the `relay`), `switches` and `netns`. `inspection` looks into a run, `machine` at the host.
"""
