"""Preference pairs as LLaMA-Factory reads them: ``sharegpt`` formatting with ``ranking``.

One row a pair, the same in both layouts: ``conversations`` (the turns of the prompt, ``{"from":
"human" | "gpt" | "observation" | "system", "value"}``), ``chosen`` and ``rejected`` (one turn
each). LLaMA-Factory wants speakers in turn, so turns of one side in a row are joined.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import ColumnType, Layout, PairRecipe, Row, messages

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_ASKING = ("human", "observation")


def _rows(preferred: PreferredPair, _: Layout) -> Iterator[Row]:
    yield {
        "conversations": _in_turn(preferred),
        "chosen": {"from": "gpt", "value": preferred.chosen.text},
        "rejected": {"from": "gpt", "value": preferred.rejected.text},
    }


def _in_turn(preferred: PreferredPair) -> list[dict[str, str]]:
    """System first if there is one, then asking and answering in turn, asking first and last."""
    system: list[str] = []
    turns: list[dict[str, str]] = []
    for message in messages(preferred.pair.prompt):
        speaker, value = _SPEAKERS[message["role"]], message["content"]
        if speaker == "system":
            system.append(value)
        elif turns and (turns[-1]["from"] in _ASKING) == (speaker in _ASKING):
            turns[-1]["value"] += "\n\n" + value
        elif not turns and speaker == "gpt":
            turns += [{"from": "human", "value": ""}, {"from": speaker, "value": value}]
        else:
            turns.append({"from": speaker, "value": value})
    if system:
        turns.insert(0, {"from": "system", "value": "\n\n".join(system)})
    return turns


RECIPE = PairRecipe(
    name="llama-factory",
    description="Preference pairs for LLaMA-Factory",
    columns={
        "conversations": ColumnType.SPEAKERS,
        "chosen": ColumnType.SPEAKER,
        "rejected": ColumnType.SPEAKER,
    },
    rows=_rows,
)
