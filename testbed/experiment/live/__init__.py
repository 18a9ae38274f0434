"""A run while it goes on: what its processes write, read as it grows, and shown in the terminal and in a browser.

`tail` reads files · `flow_rates` counts · `state` says what is known at a moment · `terminal` and `event_server` (with
`page`) show it · `watching` puts them together. Nothing here changes a run or is waited for by it.
"""
