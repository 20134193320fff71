"""Find prompts similar to one: ask the planner, which holds the index, over Postgres NOTIFY.

The question is JSON, ``{"request", "project", "prompt", "limit"}``: a UUID and three numbers. So is
the answer: ``{"request", "similar": [[prompt, similarity], ...]}``, nearest first.
"""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from app.errors import Conflict, Unavailable
from app.prompts.queries import reading
from app.prompts.schemas import Content
from app.prompts.service import find_prompt
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.sessions import Sessions

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A prompt near another; ``similarity`` is the cosine of their embeddings."""

    prompt_id: int
    similarity: float
    content: Content


async def find_similar(
    sessions: Sessions,
    listener: Listener,
    public_id: str,
    limit: int,
    *,
    answer_seconds: float = _ANSWER_SECONDS,
) -> list[Neighbour]:
    """The ``limit`` prompts nearest to one, most similar first. Holds no connection while it waits.

    Raises:
        UnknownPrompt: no prompt has that id.
        Conflict: the prompt has no embedding yet.
        Unavailable: no planner answered in time.
    """
    request = str(uuid.uuid4())
    with listener.subscribe(Channel.SIMILAR_ANSWERED) as answers:
        async with sessions.begin() as session:
            prompt = await find_prompt(session, public_id)
            if prompt.status == "pending":
                raise Conflict("the prompt is pending: it has no embedding yet")
            question = {
                "request": request,
                "project": prompt.project_id,
                "prompt": prompt.id,
                "limit": limit,
            }
            await notify(session, Channel.SIMILAR_ASKED, orjson.dumps(question).decode())
        found = await _answer(answers, request, answer_seconds)
    async with sessions.begin() as session:
        contents = await reading.contents(session, prompt.project_id, [each for each, _ in found])
    return [
        Neighbour(prompt_id, similarity, contents[prompt_id])
        for prompt_id, similarity in found
        if prompt_id in contents and prompt_id != prompt.id
    ]


async def _answer(
    answers: Subscription, request: str, answer_seconds: float
) -> list[tuple[int, float]]:
    deadline = time.monotonic() + answer_seconds
    while (left := deadline - time.monotonic()) > 0:
        notification = await answers.get(left)
        if notification is None:
            break
        answer: dict[str, Any] = orjson.loads(notification.payload)
        if answer["request"] == request:
            return [(int(number), float(similarity)) for number, similarity in answer["similar"]]
    raise Unavailable("no planner has answered: is one running?")
