"""Training runs on HF Jobs: what one costs, how it is sent and started, what comes back of it."""
