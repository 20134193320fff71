"""`annotation-budget create` against the real application."""

import httpx

from tests.cli.test_cli import transfer, url

__all__ = ["url"]  # a fixture


async def test_a_project_as_in_the_paper(url: str, client: httpx.AsyncClient) -> None:
    done = await transfer(url, "create", "as-in-the-paper", "--preset", "real", "--budget", "1000")
    told = "as-in-the-paper: strategy dissimilar, exploration 0, at most 1000 labels.\n"
    assert done == (0, told.encode(), "")
    made = (await client.get("/projects/as-in-the-paper")).json()
    assert (made["pairs_per_prompt"], made["budget"]["limit"]) == (1, 1000)


async def test_what_the_service_refuses_is_told(url: str) -> None:
    status, _, told = await transfer(url, "create", "p", "--preset", "paper")
    assert status == 1
    assert "body.preset" in told
    status, _, told = await transfer(url, "create", "default")
    assert status == 1
    assert "a project of that name exists" in told
