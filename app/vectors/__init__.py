"""The FAISS index of a project's prompts: a cache of what Postgres holds, never the truth."""
