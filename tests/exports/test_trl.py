"""TRL itself trains on what it is for: `dpo`, `kto` and `reward`, in both layouts."""

import asyncio
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.storage.sessions import Sessions
from tests.exports.dataset import add_label, add_pair, add_project, add_prompt
from tests.exports.with_tools import PROMPTS, store_labelled

REPOSITORY = Path(__file__).parents[2]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
    {"role": "user", "content": "And now?"},
]
COLUMNS = {
    "dpo": ["prompt", "chosen", "rejected"],
    "kto": ["prompt", "completion", "label"],
    "reward": ["prompt", "chosen", "rejected", "margin"],
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


async def _store(sessions: Sessions) -> None:
    """Eight prompts of three responses, ranked; some chats, some strengths, a tie, a both-bad."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(8):
            content = CHAT if number % 2 else f"Question {number}?"
            texts = [f"good {number}", f"fair {number}", f"poor {number}"]
            prompt, responses = await add_prompt(session, project_id, content, texts)
            for winner, loser in ((0, 1), (1, 2), (0, 2)):
                pair = await add_pair(session, prompt, responses[winner], responses[loser])
                await add_label(session, pair, responses[winner], strength=1 + number % 3)
        for choice in ("tie", "both_bad"):
            prompt, (one, other) = await add_prompt(session, project_id, choice, ["a", "b"])
            pair = await add_pair(session, prompt, one, other)
            await add_label(session, pair, None, choice=choice)


async def _trained(
    client: httpx.AsyncClient, layouts: Sequence[str], folder: Path
) -> dict[str, Any]:
    """What came of training on the file of each recipe, layout and format."""
    named = []
    for recipe in COLUMNS:
        for layout in layouts:
            for file in ("jsonl", "parquet"):
                query = {"project": "p", "layout": layout, "file": file}
                answer = await client.get(f"/exports/{recipe}", params=query)
                path = folder / f"{recipe}-{layout}.{file}"
                path.write_bytes(answer.content)
                named.append(f"{recipe}:{path}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.exports.train_trl", str(folder), *named),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()[-3000:]
    trained: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert len(trained) == len(named)
    return trained


async def test_trl_trains_two_steps_on_each_of_its_recipes(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path
) -> None:
    await _store(sessions)
    trained = await _trained(client, ("standard", "conversational"), tmp_path)
    for name, told in trained.items():
        recipe = name.partition("-")[0]
        assert told["columns"] == COLUMNS[recipe]
        assert told["trainable"] == told["rows"] == {"kto": 18}.get(recipe, 24), name
        assert told["steps"] == 2
        assert len(told["losses"]) == 2
        assert all(map(math.isfinite, told["losses"]))
        if recipe == "reward":
            assert set(told["batch"]["margin"]) <= {1.0, 2.0, 3.0}
        if recipe == "kto":
            assert {type(label) for label in told["batch"]["label"]} == {bool}


async def test_trl_trains_on_tools_and_tool_calls(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    trained = await _trained(client, ["conversational"], tmp_path)
    for name, told in trained.items():
        recipe = name.partition("-")[0]
        assert told["columns"] == [*COLUMNS[recipe], "tools"]
        assert told["trainable"] == told["rows"] == {"kto": 12}.get(recipe, 6), name
        assert told["steps"] == 2
        assert all(map(math.isfinite, told["losses"]))
        for said in ("tools: [", "get_weather", "Ostia"):
            assert any(said in text for text in told["texts"]), (name, said)
