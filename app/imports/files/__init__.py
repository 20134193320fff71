"""Files that are not JSON lines in UTF-8, as JSON lines in UTF-8."""
