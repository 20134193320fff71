"""The session dependency, for rooms that may not import ``storage``: the pages."""

from app.storage.sessions import Session

__all__ = ["Session"]
