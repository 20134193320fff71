"""What foreign files look like: one file a format; beside them strict JSON and tool calls. Pure."""
