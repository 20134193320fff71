"""Projects whose labels come from a known reward, written straight into the tables."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import normalise, to_bytes
from app.storage.sessions import Sessions
from app.storage.tables import (
    Label,
    Pair,
    Project,
    Prompt,
    PromptEmbedding,
    Response,
    ResponseEmbedding,
)

DIMENSIONS = 8
Floats = NDArray[np.float32]


@dataclass
class PlantedProject:
    """A project in which annotators like what lies along the first axis.

    ``worth`` says how strongly: they prefer a response with the probability σ(worth · its lead).
    """

    sessions: Sessions
    project_id: int
    worth: float = 10.0
    dimensions: int = DIMENSIONS
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    async def label(
        self,
        count: int,
        *,
        arm: str = "strategy",
        choices: Sequence[str] = (),
        strengths: Sequence[int | None] = (),
        groups: Sequence[int] = (),
        status: str = "counted",
        made_elsewhere: bool = False,
    ) -> list[int]:
        """New prompts of two responses with a label each; gives the labels' numbers.

        Choices are what the planted reward says unless given (left is the first response), groups
        the prompts' own.
        """
        prompts = self._units(count)
        responses = self._units(2 * count).reshape(count, 2, self.dimensions)
        lead = responses[:, 0, 0] - responses[:, 1, 0]
        is_first = self.rng.random(count) < 1 / (1 + np.exp(-self.worth * lead))
        said = choices or ["left" if first else "right" for first in is_first]
        async with self.sessions.begin() as session:
            prompt_ids = await self._add_prompts(session, prompts, groups)
            sides = await _add_responses(session, prompt_ids, responses)
            pair_ids = await self._add_pairs(session, prompt_ids, sides, arm)
            rows = [
                {
                    "project_id": self.project_id,
                    "prompt_id": prompt_ids[place],
                    "pair_id": pair_ids[place],
                    # No row of assignments is needed: a label made here has a number there.
                    "assignment_id": None if made_elsewhere else pair_ids[place],
                    "annotator": "ana",
                    "strength": strengths[place] if strengths else None,
                    "status": status,
                    **_preference(choice, *sides[place]),
                }
                for place, choice in enumerate(said)
            ]
            label_ids = await _add(session, Label, rows)
            await session.execute(
                update(Project)
                .where(Project.id == self.project_id)
                .values(
                    embedding_dimensions=self.dimensions,
                    embedding_source="caller",
                    counted_labels=Project.counted_labels + count * (status == "counted"),
                )
            )
        return label_ids

    async def add_response(self, prompt_id: int, text: str) -> None:
        """One more response of a prompt, the third."""
        async with self.sessions.begin() as session:
            row = {"prompt_id": prompt_id, "position": 2, "text": text}
            [one] = await _add(session, Response, [row])
            vector = to_bytes(self._units(1)[0])
            await session.execute(insert(ResponseEmbedding).values(response_id=one, vector=vector))

    async def change(self, **columns: Any) -> None:
        """Change the project."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Project).where(Project.id == self.project_id).values(**columns)
            )

    def _units(self, count: int) -> Floats:
        return normalise(self.rng.standard_normal((count, self.dimensions)))

    async def _add_prompts(
        self, session: AsyncSession, vectors: Floats, groups: Sequence[int]
    ) -> list[int]:
        rows = [
            {
                "project_id": self.project_id,
                "external_id": secrets.token_hex(8),
                "content": "A prompt",
                "fingerprint": b"",
                "status": "ready",
                "group_id": groups[place] if groups else None,
                "pairs_total": 1,
                "pairs_planned": 1,
            }
            for place in range(len(vectors))
        ]
        ids = await _add(session, Prompt, rows)
        await session.execute(
            insert(PromptEmbedding),
            [
                {"prompt_id": one, "project_id": self.project_id, "vector": to_bytes(vector)}
                for one, vector in zip(ids, vectors, strict=True)
            ],
        )
        return ids

    async def _add_pairs(
        self,
        session: AsyncSession,
        prompt_ids: Sequence[int],
        sides: Sequence[tuple[int, int]],
        arm: str,
    ) -> list[int]:
        rows = [
            {
                "project_id": self.project_id,
                "prompt_id": prompt_id,
                "first_response_id": first,
                "second_response_id": second,
                "arm": arm,
                "strategy": "dissimilar",
                "position": 0.0,
                "expected_seconds": 10.0,
                "labels_wanted": 1,
            }
            for prompt_id, (first, second) in zip(prompt_ids, sides, strict=True)
        ]
        return await _add(session, Pair, rows)


async def _add_responses(
    session: AsyncSession, prompt_ids: Sequence[int], vectors: Floats
) -> list[tuple[int, int]]:
    rows = [
        {"prompt_id": prompt_id, "position": place, "text": f"answer {place}"}
        for prompt_id in prompt_ids
        for place in (0, 1)
    ]
    ids = await _add(session, Response, rows)
    await session.execute(
        insert(ResponseEmbedding),
        [
            {"response_id": one, "vector": to_bytes(vector)}
            for one, vector in zip(ids, vectors.reshape(len(ids), -1), strict=True)
        ],
    )
    return list(zip(ids[::2], ids[1::2], strict=True))


async def _add(session: AsyncSession, table: Any, rows: list[dict[str, Any]]) -> list[int]:
    found = await session.scalars(
        insert(table).returning(table.id, sort_by_parameter_order=True), rows
    )
    return list(found)


def _preference(choice: str, first: int, second: int) -> dict[str, Any]:
    by_side = {"left": (first, second), "right": (second, first)}
    preferred, rejected = by_side.get(choice, (None, None))
    return {
        "choice": choice,
        "preferred_response_id": preferred,
        "rejected_response_id": rejected,
    }
