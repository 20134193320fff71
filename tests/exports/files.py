"""Small rows and columns to write files of."""

from app.exports.recipe import ColumnType, Row

TURNS = {"prompt": ColumnType.TURNS, "chosen": ColumnType.TURNS}
EVERY_KIND = {
    **TURNS,
    "id": ColumnType.TEXT,
    "margin": ColumnType.NUMBER,
    "labels": ColumnType.COUNT,
    "label": ColumnType.FLAG,
}


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
