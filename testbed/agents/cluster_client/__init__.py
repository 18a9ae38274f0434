"""The cluster client as a process: users ask it for functions, and it sends them to clusters that hold these.

`testbed.faas.cluster_client` decides; here are its server (`frontend`), its requests to the ALTO client (`alto_lists`),
to clusters (`cluster_calls`) and to the repository (`catalogue`), and its rows.
"""
