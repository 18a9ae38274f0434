"""In-band messages of Dyncast nodes: data, octets, authentication, admission."""
