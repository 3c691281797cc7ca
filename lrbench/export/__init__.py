"""A trial as files that leave lrbench: weights with a plan, torch.export, ONNX; each checked and timed."""
