"""What a claim and a label ask of Postgres, word for word, to be asked without the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, select

from app.accounts.service import Principal
from app.annotation.claim import ClaimRequest, claim_pairs
from app.annotation.schemas import NewLabel
from app.annotation.settle import settle_labels
from app.settings import DEFAULT_PROJECT
from app.storage.engine import create_engine, session_factory
from app.storage.ids import IdKind, encode
from app.storage.tables import Annotator

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A statement as the driver gets it, and its parameters."""

    statement: str
    parameters: Parameters

    def about(self, known: Parameters) -> dict[str, Any]:
        """The parameters for another annotator, pair or assignment."""
        return {name: self._value(name, was, known) for name, was in self.parameters.items()}

    def _value(self, name: str, was: Any, known: Parameters) -> Any:
        plain = name.removesuffix("_1").removesuffix("s")  # one of a list, however it is passed
        if plain not in known:
            return was
        return [known[plain]] if isinstance(was, list) else known[plain]


async def cycle_statements(url: str) -> tuple[Sequence[Asked], Sequence[Asked]]:
    """The statements of a claim of one pair, and of its label; both are really done once."""
    engine = create_engine(url, pool_size=1)
    sessions = session_factory(engine)
    asked: list[Asked] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append(Asked(statement, dict(parameters)))

    async with sessions.begin() as session:
        annotator = (await session.scalars(select(Annotator).limit(1))).one()
    principal = Principal(annotator.id, annotator.name, annotator.role, annotator.all_projects)
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with sessions.begin() as session:
        claim = await claim_pairs(session, ClaimRequest(principal, DEFAULT_PROJECT, 1))
    claimed, asked = asked, []
    assignment_id = encode(IdKind.ASSIGNMENT, claim.pairs[0].assignment_id)
    label = NewLabel(assignment_id=assignment_id, choice="tie")
    async with sessions.begin() as session:
        await settle_labels(session, principal, [label])
    await engine.dispose()
    return claimed, asked
