"""Delivery of functions as content: manifests and blobs by digest, what a cluster holds, deliveries on their way."""
