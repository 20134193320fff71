"""Documents that hold rows in a list, as dataset servers and some exporters write them. Pure."""

from typing import Any, Final

_NAMES: Final = (
    *("data", "rows", "train", "validation", "test", "examples", "instances"),
    *("records", "items", "samples", "entries", "dataset", "results"),
)


def wrapped_rows(document: dict[str, Any]) -> str | None:
    """Where the document holds its rows, as a path that jq reads; None where it holds none."""
    for name in _NAMES:
        rows = document.get(name)
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            return f".{name}[].row" if isinstance(rows[0].get("row"), dict) else f".{name}[]"
    return None
