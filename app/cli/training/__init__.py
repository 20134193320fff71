"""`train`, `evaluate`, `losses`."""
