"""Public ids: a prefix for the kind, and the row's number in Crockford's base 32."""

from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_DIGITS = 13
_MAX_ID = 2**63 - 1


class IdKind(StrEnum):
    """The kinds of rows that have a public id."""

    PROMPT = "prm"
    RESPONSE = "rsp"
    PAIR = "pair"
    ASSIGNMENT = "asg"
    LABEL = "lbl"
    ANNOTATOR = "ann"
    IMPORT = "imp"


def encode(kind: IdKind, row_id: int) -> str:
    """The public id of a row: ``encode(IdKind.PROMPT, 1)`` is ``prm_0000000000001``."""
    digits = []
    for _ in range(_DIGITS):
        row_id, digit = divmod(row_id, 32)
        digits.append(_ALPHABET[digit])
    return f"{kind}_{''.join(reversed(digits))}"


def decode(kind: IdKind, public_id: str) -> int | None:
    """The row's number, or None where the text is no id of that kind."""
    prefix, _, digits = public_id.partition("_")
    if prefix != kind or len(digits) != _DIGITS:
        return None
    row_id = 0
    for character in digits:
        value = _VALUE.get(character)
        if value is None:
            return None
        row_id = row_id * 32 + value
    return row_id if 0 < row_id <= _MAX_ID else None
