"""Pages at paths that calls of the API have too, as ``/projects``: browsers ask for HTML."""

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class PageRoute(APIRoute):
    """A page for those who ask for HTML by name; all others get what the API answers there."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match like any route, if the request's ``Accept`` names HTML."""
        match, child = super().matches(scope)
        return (match, child) if asks_for_html(scope) else (Match.NONE, {})


def asks_for_html(scope: Scope) -> bool:
    """Whether a browser asks, and not a script: those accept anything, or JSON."""
    return any(
        b"text/html" in value for name, value in scope.get("headers", ()) if name == b"accept"
    )
