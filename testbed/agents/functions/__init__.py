"""Functions as files of this machine: packed into blobs and a manifest, layers unpacked from theirs."""
