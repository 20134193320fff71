"""The SQL of the embedder: pending prompts, old questions, and styles."""
