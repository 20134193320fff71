"""Labelled pairs, put straight into the tables."""

import hashlib
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import normalise, to_bytes
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


async def add_project(session: AsyncSession, name: str) -> int:
    """A project with every setting at some value; its number."""
    project = Project(
        name=name,
        guidelines="",
        strategy="dissimilar",
        unit="labels",
        labels_per_pair=1,
        overlap_share=0.0,
        overlap_labels=2,
        exploration=0.1,
        lease_seconds=1800,
        cost_seconds_base=8.0,
        cost_words_per_minute=238.0,
        seed=1,
        embedding_source="caller",
        embedding_dimensions=DIMENSIONS,
    )
    session.add(project)
    await session.flush()
    return project.id


_GROUP_OF_ITS_OWN = object()


async def add_prompt(
    session: AsyncSession,
    project_id: int,
    content: Any,
    texts: list[str],
    *,
    group: Any = _GROUP_OF_ITS_OWN,
    external_id: str | None = None,
) -> tuple[Prompt, list[Response]]:
    """A prompt with its responses; ``group=None``: it has not arrived in the plan."""
    prompt = Prompt(
        project_id=project_id,
        external_id=external_id,
        content=content,
        fingerprint=repr((content, texts)).encode(),
        status="pending" if group is None else "ready",
        pairs_total=len(texts) * (len(texts) - 1) // 2,
    )
    session.add(prompt)
    await session.flush()
    prompt.group_id = prompt.id if group is _GROUP_OF_ITS_OWN else group
    responses = [
        Response(
            prompt_id=prompt.id,
            external_id=None if external_id is None else f"{external_id}-{position}",
            position=position,
            text=text,
        )
        for position, text in enumerate(texts)
    ]
    session.add_all(responses)
    await session.flush()
    session.add(
        PromptEmbedding(prompt_id=prompt.id, project_id=project_id, vector=vector_of(repr(content)))
    )
    session.add_all(
        ResponseEmbedding(response_id=response.id, vector=vector_of(response.text))
        for response in responses
    )
    await session.flush()
    return prompt, responses


async def embed(session: AsyncSession, project: str) -> None:
    """Store a vector of every text of a project that has none."""
    found = (await session.execute(select(Project).where(Project.name == project))).scalar_one()
    found.embedding_source, found.embedding_dimensions = "caller", DIMENSIONS
    prompts = await session.scalars(select(Prompt).where(Prompt.project_id == found.id))
    for prompt in prompts.all():
        responses = await session.scalars(select(Response).where(Response.prompt_id == prompt.id))
        vector = vector_of(repr(prompt.content))
        session.add(PromptEmbedding(prompt_id=prompt.id, project_id=found.id, vector=vector))
        session.add_all(
            ResponseEmbedding(response_id=response.id, vector=vector_of(response.text))
            for response in responses
        )


def vector_of(text: str) -> bytes:
    """A unit vector drawn by the text alone, as it is stored."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    return to_bytes(normalise(np.random.default_rng(seed).standard_normal(DIMENSIONS)))


async def add_pair(
    session: AsyncSession, prompt: Prompt, one: Response, other: Response, **columns: Any
) -> Pair:
    """A pair of the plan, without labels."""
    first, second = sorted((one.id, other.id))
    pair = Pair(
        project_id=prompt.project_id,
        prompt_id=prompt.id,
        first_response_id=first,
        second_response_id=second,
        **{
            "similarity": 0.25,
            "arm": "strategy",
            "strategy": "dissimilar",
            "propensity": None,
            "position": 0.0,
            "expected_seconds": 10.0,
            "labels_wanted": 9,
            **columns,
        },
    )
    session.add(pair)
    await session.flush()
    return pair


async def add_label(
    session: AsyncSession,
    pair: Pair,
    preferred: Response | None,
    *,
    annotator: str = "ana",
    choice: str | None = None,
    **columns: Any,
) -> Label:
    """A label that prefers a response of the pair, or none (a tie unless said otherwise)."""
    preferred_id = preferred.id if preferred else None
    rejected_id = None
    if preferred_id is not None:
        rejected_id = pair.first_response_id + pair.second_response_id - preferred_id
    label = Label(
        project_id=pair.project_id,
        prompt_id=pair.prompt_id,
        pair_id=pair.id,
        annotator=annotator,
        choice=choice or ("left" if preferred else "tie"),
        preferred_response_id=preferred_id,
        rejected_response_id=rejected_id,
        **{"status": "counted", **columns},
    )
    session.add(label)
    await session.flush()
    return label


async def add_labelled_prompt(
    session: AsyncSession, project_id: int, content: Any, chosen: str, rejected: str, **columns: Any
) -> Prompt:
    """A prompt of two responses, one of which one label prefers."""
    prompt, (winner, loser) = await add_prompt(
        session, project_id, content, [chosen, rejected], **columns
    )
    pair = await add_pair(session, prompt, winner, loser)
    await add_label(session, pair, winner)
    return prompt
