"""In-band reports to an ALTO server: what was measured of the network and of clusters, and what becomes of it"""
