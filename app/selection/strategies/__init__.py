"""The strategies, a file each. A new one is one file here and one row in ``registry.py``."""
