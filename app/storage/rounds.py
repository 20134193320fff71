"""The latest round of a project's responses."""

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import InstrumentedAttribute

from app.storage.predicates import WITH_LATER_ROUND
from app.storage.tables import Prompt


def latest_round(project_id: InstrumentedAttribute[int] | int) -> ColumnElement[int]:
    """An expression for it. Served by ``ix_prompts_rounds``."""
    later = select(func.max(Prompt.latest_round)).where(
        Prompt.project_id == project_id, text(WITH_LATER_ROUND)
    )
    return func.coalesce(later.scalar_subquery(), 1)
