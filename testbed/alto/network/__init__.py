"""A network as its operator knows it: what a server says of it before anything is measured, and its directory"""
