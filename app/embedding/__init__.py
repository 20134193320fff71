"""Text to unit vectors, and how they rest. The API process may import ``unit`` alone."""
