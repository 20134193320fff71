"""Preference pairs as Axolotl reads them: ``rl: dpo`` with ``type: chat_template.default``.

One row a pair, whatever the layout: ``messages`` (the turns of the prompt), ``chosen`` and
``rejected`` (one ``{"role", "content"}`` each).
"""

from collections.abc import Iterator

from app.exports.pairs import PreferredPair
from app.exports.recipe import Column, Kind, Layout, PairRecipe, Row, answer, messages


def _rows(preferred: PreferredPair, _: Layout) -> Iterator[Row]:
    yield {
        "messages": messages(preferred.pair.prompt),
        "chosen": answer(preferred.chosen.text),
        "rejected": answer(preferred.rejected.text),
    }


RECIPE = PairRecipe(
    name="axolotl",
    description="Preference pairs for Axolotl",
    columns=(
        Column("messages", Kind.MESSAGES),
        Column("chosen", Kind.MESSAGE),
        Column("rejected", Kind.MESSAGE),
    ),
    rows=_rows,
)
