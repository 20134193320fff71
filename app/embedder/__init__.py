"""The embedder: the process that holds torch and turns pending texts into vectors."""
