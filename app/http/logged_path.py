"""The path of a request as the log shows it."""

from typing import Final

from starlette.types import Scope

from app.http.root_path import route_path

_ANNOTATORS: Final = "/annotators/"


def logged_path(scope: Scope) -> str:
    """The path without an annotator's name: a log could not forget it when it is erased."""
    path = route_path(scope)
    return f"{_ANNOTATORS}{{name}}" if path.startswith(_ANNOTATORS) else path
