"""The ALTO server as a process: `testbed.alto.service` over HTTP, with TLS, authentication and update streams.

`AltoServer` in `server.py` is the door. It knows nothing of networks: what is served, whoever starts it says.
"""
