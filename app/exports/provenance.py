"""The columns that say where a row came from (``metadata=true``)."""

from typing import Final

from app.exports.pairs import PreferredPair
from app.exports.recipe import Column, Kind, Row
from app.storage.ids import Kind as IdKind
from app.storage.ids import encode

COLUMNS: Final = (
    Column("prompt_id", Kind.TEXT),
    Column("prompt_external_id", Kind.TEXT),
    Column("chosen_id", Kind.TEXT),
    Column("chosen_external_id", Kind.TEXT),
    Column("rejected_id", Kind.TEXT),
    Column("rejected_external_id", Kind.TEXT),
    Column("margin", Kind.NUMBER),
    Column("agreement", Kind.NUMBER),
    Column("labels", Kind.COUNT),
    Column("similarity", Kind.NUMBER),
    Column("arm", Kind.TEXT),
    Column("propensity", Kind.NUMBER),
    Column("strategy", Kind.TEXT),
)


def provenance(preferred: PreferredPair, *, with_margin: bool) -> Row:
    """The cells of one row. ``margin`` is the mean strength, or null in the whole file."""
    pair, preference = preferred.pair, preferred.preference
    return {
        "prompt_id": encode(IdKind.PROMPT, pair.prompt_id),
        "prompt_external_id": pair.prompt_external_id,
        "chosen_id": encode(IdKind.RESPONSE, preferred.chosen.response_id),
        "chosen_external_id": preferred.chosen.external_id,
        "rejected_id": encode(IdKind.RESPONSE, preferred.rejected.response_id),
        "rejected_external_id": preferred.rejected.external_id,
        "margin": preference.strength if with_margin else None,
        "agreement": preference.agreement,
        "labels": preference.labels,
        "similarity": pair.similarity,
        "arm": pair.arm,
        "propensity": pair.propensity,
        "strategy": pair.strategy,
    }
