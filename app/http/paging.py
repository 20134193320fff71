"""Lists in pages: ``?cursor=&limit=``."""

import base64
from typing import Annotated

from fastapi import Depends, Query

from app.errors import FieldError, InvalidInput
from app.settings import MAX_PAGE

_MAX_ID = 2**63 - 1
_DEFAULT_PAGE = 100


class Page:
    """At most ``limit`` rows, those after the row ``after_id``."""

    def __init__(
        self,
        cursor: Annotated[
            str | None, Query(max_length=64, description="`next_cursor` of the page before")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = _DEFAULT_PAGE,
    ) -> None:
        self.after_id = _decode(cursor) if cursor else 0
        self.limit = limit

    def next_cursor(self, row_ids: list[int]) -> str | None:
        """The cursor of the next page; None if ``row_ids`` do not fill this one."""
        return _encode(row_ids[-1]) if len(row_ids) == self.limit else None

    @staticmethod
    def cursor_after(row_id: int) -> str:
        """The cursor of a page that begins after this row."""
        return _encode(row_id)


PageQuery = Annotated[Page, Depends()]


def _encode(row_id: int) -> str:
    return base64.urlsafe_b64encode(row_id.to_bytes(8)).decode().rstrip("=")


def _decode(cursor: str) -> int:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        row_id = int.from_bytes(raw)
        if len(raw) != 8 or row_id > _MAX_ID:
            raise ValueError
    except ValueError:
        error = FieldError(("query", "cursor"), "not a cursor of this service")
        raise InvalidInput(f"cursor: {error.msg}", errors=(error,)) from None
    return row_id
