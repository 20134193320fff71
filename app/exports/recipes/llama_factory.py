"""Preference pairs as LLaMA-Factory reads them: ``sharegpt`` formatting with ``ranking``.

One row a pair, the same in both layouts: ``conversations`` (the turns of the prompt, ``{"from":
"human" | "gpt" | "observation" | "function_call" | "system", "value"}``), ``chosen`` and
``rejected`` (one turn each). LLaMA-Factory wants speakers in turn, so turns of one side in a row
are joined.

Tool calls are a turn from ``function_call``, whose value is the JSON of ``{"name", "arguments"}``,
or of a list of them; tools are JSON in the column ``tools``. Left out are prompts that this cannot
say: a turn or a response with both text and calls, arguments that are no object, a call or its
result in a row with another turn of its side, a name of a speaker.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import orjson

from app.exports.pairs import Candidate, LabelledPair, PreferredPair
from app.exports.recipe import (
    ColumnType,
    Layout,
    Message,
    PairRecipe,
    Row,
    Tools,
    answer,
    messages,
)
from app.formats.tool_calls import arguments_of

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_ASKING = ("human", "observation")
_JOINED = ("human", "gpt")


def _rows(preferred: PreferredPair, _: Layout) -> Iterator[Row]:
    yield {
        "conversations": _in_turn(messages(preferred.pair.prompt)),
        "chosen": _answer(preferred.chosen),
        "rejected": _answer(preferred.rejected),
    }


def _holds(pair: LabelledPair) -> bool:
    turns = messages(pair.prompt)
    spoken = [_spoken(turn)["from"] for turn in turns if turn["role"] != "system"]
    return all(map(_can_say, [*turns, _message(pair.first), _message(pair.second)])) and all(
        (one in _ASKING) != (next_one in _ASKING) or (one == next_one and one in _JOINED)
        for one, next_one in pairwise(spoken)
    )


def _can_say(turn: Message) -> bool:
    if "name" in turn and turn["role"] != "tool":
        return False
    calls = turn.get("tool_calls")
    if not calls:
        return True
    has_text = bool((turn.get("content") or "").strip())
    return not has_text and all(isinstance(arguments_of(call), dict) for call in calls)


def _spoken(turn: Message) -> dict[str, str]:
    if turn.get("tool_calls"):
        return {"from": "function_call", "value": _written(turn["tool_calls"])}
    return {"from": _SPEAKERS[turn["role"]], "value": turn["content"]}


def _written(tool_calls: Sequence[Any]) -> str:
    calls = [
        {"name": call["function"]["name"], "arguments": arguments_of(call)} for call in tool_calls
    ]
    return orjson.dumps(calls if len(calls) > 1 else calls[0]).decode()


def _message(response: Candidate) -> Message:
    return answer(response.text, response.tool_calls)


def _answer(response: Candidate) -> dict[str, str]:
    return _spoken(_message(response))


def _in_turn(prompt: Sequence[Message]) -> list[dict[str, str]]:
    """System first if there is one, then asking and answering in turn, asking first and last."""
    system: list[str] = []
    turns: list[dict[str, str]] = []
    for turn in map(_spoken, prompt):
        speaker = turn["from"]
        if speaker == "system":
            system.append(turn["value"])
        elif turns and (turns[-1]["from"] in _ASKING) == (speaker in _ASKING):
            turns[-1]["value"] += "\n\n" + turn["value"]
        elif not turns and speaker not in _ASKING:
            turns += [{"from": "human", "value": ""}, turn]
        else:
            turns.append(turn)
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
    tools=Tools.IN_STRINGS,
    holds=_holds,
)
