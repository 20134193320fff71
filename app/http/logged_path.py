"""The path of a request as the log shows it."""

from typing import Final

_ANNOTATORS: Final = "/annotators/"


def logged_path(path: str) -> str:
    """The path without an annotator's name: a log could not forget it when it is erased."""
    return f"{_ANNOTATORS}{{name}}" if path.startswith(_ANNOTATORS) else path
