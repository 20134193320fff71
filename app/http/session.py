"""The session of a request, for the pages: they may not import ``storage`` themselves."""

from app.storage.sessions import Session

__all__ = ["Session"]
