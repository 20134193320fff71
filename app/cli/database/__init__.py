"""The commands that look after the database: `ledger verify`, `backup` and `restore`."""
