"""The background: processes that embed and plan, each of its own, told of work by Postgres."""
