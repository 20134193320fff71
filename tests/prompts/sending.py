"""What the tests of prompts send."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import httpx
import numpy as np

Json = dict[str, Any]


def prompt(*texts: str, content: Any = "Explain DPO.", **more: Any) -> Json:
    """A prompt whose responses have these texts, and no ids."""
    responses = [{"text": text} for text in texts or ("good", "bad")]
    return {"prompt": content, "responses": responses, **more}


def embedded(*vectors: Any, **more: Any) -> Json:
    """A prompt with one response a vector."""
    responses = [
        {"text": f"response {number}", "embedding": vector} for number, vector in enumerate(vectors)
    ]
    return {"prompt": "Explain DPO.", "responses": responses, **more}


def in_base64(*numbers: float) -> str:
    """Numbers as embedding APIs send them."""
    return base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()


def as_lines(documents: Iterable[Any]) -> bytes:
    """Documents as NDJSON."""
    return "".join(json.dumps(each) + "\n" for each in documents).encode()


async def import_lines(
    client: httpx.AsyncClient, content: Any, *, project: str = "default", **query: str
) -> Json:
    """Import, and the report."""
    answer = await client.post(
        "/prompts/import",
        params={"project": project, **query},
        content=content,
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 200, answer.text
    report: Json = answer.json()
    return report


async def counts(client: httpx.AsyncClient, project: str = "default") -> Json:
    """A project's counts."""
    found: Json = (await client.get(f"/projects/{project}")).json()["counts"]
    return found


def fields(answer: httpx.Response) -> list[list[str | int]]:
    """Where a refused request is at fault."""
    return [error["loc"] for error in answer.json()["errors"]]
