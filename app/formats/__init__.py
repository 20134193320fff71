"""What foreign files look like: one file a format. Pure."""
