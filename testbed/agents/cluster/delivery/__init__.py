"""Functions that come to a cluster: blobs fetched from repositories, checked, unpacked, kept in a folder."""
