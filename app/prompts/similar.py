"""Find prompts similar to one: ask the planner, which holds the index, over Postgres NOTIFY.

The question is JSON, ``{"request", "project", "prompt", "limit"}``: a UUID and three numbers. So is
the answer: ``{"request", "similar": [[prompt, similarity], ...]}``, nearest first.
"""

import time
import uuid
from typing import Any

import orjson

from app.errors import Conflict, Unavailable
from app.prompts.queries import reading
from app.prompts.question import QUESTION_VERSION
from app.prompts.schemas import SimilarPrompt
from app.prompts.service import find_prompt
from app.storage.ids import IdKind, encode
from app.storage.notifications import Channel, Listener, Subscription, notify
from app.storage.sessions import Sessions

_ANSWER_SECONDS = 10.0


async def find_similar(
    sessions: Sessions, listener: Listener, public_id: str, limit: int
) -> list[SimilarPrompt]:
    """The ``limit`` prompts nearest to one, most similar first. Holds no connection while it waits.

    Raises:
        UnknownPrompt: no prompt has that id.
        Conflict: the prompt has no embedding yet, or none of what it asks.
        Unavailable: no planner answered in time.
    """
    request = str(uuid.uuid4())
    with listener.subscribe(Channel.SIMILAR_ANSWERED) as answers:
        async with sessions.begin() as session:
            prompt = await find_prompt(session, public_id)
            if prompt.status != "ready":
                raise Conflict(f"the prompt is {prompt.status}: it has no embedding yet")
            if not await reading.has_grouping_vector(session, prompt, QUESTION_VERSION):
                raise Conflict("what the prompt asks is not embedded yet; ask again later")
            question = {
                "request": request,
                "project": prompt.project_id,
                "prompt": prompt.id,
                "limit": limit,
            }
            await notify(session, Channel.SIMILAR_ASKED, orjson.dumps(question).decode())
        found = await _answer(answers, request)
    async with sessions.begin() as session:
        contents = await reading.contents(session, prompt.project_id, [each for each, _ in found])
    return [
        _similar(number, similarity, *contents[number])
        for number, similarity in found
        if number in contents and number != prompt.id
    ]


def _similar(prompt_id: int, similarity: float, content: Any, tools: Any) -> SimilarPrompt:
    has_tools = {} if tools is None else {"tools": tools}
    return SimilarPrompt(
        id=encode(IdKind.PROMPT, prompt_id), similarity=similarity, prompt=content, **has_tools
    )


async def _answer(answers: Subscription, request: str) -> list[tuple[int, float]]:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        notification = await answers.get(left)
        if notification is None:
            break
        answer: dict[str, Any] = orjson.loads(notification.payload)
        if answer["request"] == request:
            return [(int(number), float(similarity)) for number, similarity in answer["similar"]]
    raise Unavailable("no planner has answered: is one running?")
