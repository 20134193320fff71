"""`train`, `evaluate`, `logprobs`, `losses`."""
