"""The repository of functions as a process: manifests and blobs by their digests, over HTTP."""
