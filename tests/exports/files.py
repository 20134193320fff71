"""Small rows and columns to write files of."""

from app.exports.recipe import Column, Kind, Row

TURNS = (Column("prompt", Kind.TURNS), Column("chosen", Kind.TURNS))
EVERY_KIND = (
    *TURNS,
    Column("id", Kind.TEXT),
    Column("margin", Kind.NUMBER),
    Column("labels", Kind.COUNT),
    Column("label", Kind.FLAG),
)


def standard_row(number: int) -> Row:
    return {
        "prompt": f"question {number}",
        "chosen": f"answer {number}",
        "id": None if number % 2 else f"id-{number}",
        "margin": None if number % 3 else number / 4,
        "labels": number,
        "label": number % 2 == 0,
    }


def conversational_row(number: int) -> Row:
    row = standard_row(number)
    row["prompt"] = [{"role": "user", "content": row["prompt"]}]
    row["chosen"] = [{"role": "assistant", "content": row["chosen"]}]
    return row
