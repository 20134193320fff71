"""Compare what the annotators were told with what the database holds at the end."""

from collections.abc import Sequence
from typing import Any

import psycopg

from app.storage.ids import IdKind, encode
from tests.stress.annotators import Annotator, Told

_LABELS = """
SELECT id, assignment_id, annotator, choice, preferred_response_id, rejected_response_id, status
FROM labels
"""


async def broken_promises(
    connection: psycopg.AsyncConnection[Any], annotators: Sequence[Annotator]
) -> list[str]:
    """Every label told with a 201 that is not found again as it was told."""
    cursor = await connection.execute(_LABELS)
    stored = {encode(IdKind.LABEL, row[0]): row[1:] for row in await cursor.fetchall()}
    broken = []
    for annotator in annotators:
        for told in annotator.told:
            fault = _fault(annotator.name, told, stored.get(told.label_id))
            if fault:
                broken.append(f"{annotator.name}: {told}: {fault}")
    return broken


def _fault(annotator: str, told: Told, row: tuple[Any, ...] | None) -> str | None:
    if row is None:
        return "is gone"
    assignment_id, name, choice, preferred, rejected, status = row
    found = (encode(IdKind.ASSIGNMENT, assignment_id), name, choice, _id(preferred), _id(rejected))
    if found != (told.assignment_id, annotator, told.choice, told.preferred, told.rejected):
        return f"is stored as {row}"
    if told.undone:
        return None if status == "withdrawn" else f"was undone, and is {status}"
    allowed = {told.status, "counted"} if told.status == "surplus" else {told.status}
    if told.perhaps_undone:
        allowed.add("withdrawn")
    return None if status in allowed else f"is {status} now"


def _id(response_id: int | None) -> str | None:
    return None if response_id is None else encode(IdKind.RESPONSE, response_id)
