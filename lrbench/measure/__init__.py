"""What is observed of a model: cost, latency, accuracy, and the machine it happened on."""
