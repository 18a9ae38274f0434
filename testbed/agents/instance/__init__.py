"""The service instance: a c-worker queue that serves HTTP and RTP, and publishes its state."""
