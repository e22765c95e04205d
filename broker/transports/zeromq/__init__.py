"""ZeroMQ: from process to process, or through a forwarder."""
