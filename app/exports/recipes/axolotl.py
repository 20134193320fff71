"""Preference pairs as Axolotl reads them: ``rl: dpo`` with ``type: chat_template.default``.

One row a pair, the same in both layouts: ``messages`` (the turns of the prompt), ``chosen`` and
``rejected`` (one ``{"role", "content"}`` each, without the space around the text: Axolotl looks for
the text in what the chat template made of it, and many templates strip it). Prompts with tools or
tool calls are left out: that strategy reads nothing but roles and contents.
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import ColumnType, Layout, PairRecipe, Row, answer, messages


def _rows(preferred: PreferredPair, _: Layout) -> Iterator[Row]:
    yield {
        "messages": messages(preferred.pair.prompt),
        "chosen": answer(preferred.chosen.text.strip()),
        "rejected": answer(preferred.rejected.text.strip()),
    }


RECIPE = PairRecipe(
    name="axolotl",
    description="Preference pairs for Axolotl",
    columns={
        "messages": ColumnType.MESSAGES,
        "chosen": ColumnType.MESSAGE,
        "rejected": ColumnType.MESSAGE,
    },
    rows=_rows,
)
