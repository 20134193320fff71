"""Rounds of responses at intake: a reference in each, and what is stored already stays."""

from typing import Any

import httpx
import pytest

from tests.prompts.sending import Json, as_lines, counts, fields, import_lines, prompt


async def stored(client: httpx.AsyncClient, public_id: str) -> list[tuple[str, int, bool]]:
    """Text, round and whether it is the reference, of each response."""
    found = (await client.get(f"/prompts/{public_id}")).json()["responses"]
    return [(each["text"], each["round"], each["reference"]) for each in found]


async def post(client: httpx.AsyncClient, sent: Json) -> str:
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 201, answer.text
    public_id: str = answer.json()["prompts"][0]["id"]
    return public_id


async def add(client: httpx.AsyncClient, public_id: str, *responses: Json) -> httpx.Response:
    return await client.post(f"/prompts/{public_id}/responses", json={"responses": responses})


async def test_a_response_is_of_the_first_round_unless_it_says_otherwise(
    client: httpx.AsyncClient,
) -> None:
    sent = prompt("a")
    sent["responses"] += [{"text": "b", "round": 3}]
    public_id = await post(client, sent)
    assert await stored(client, public_id) == [("a", 1, False), ("b", 3, False)]
    assert (await counts(client))["latest_round"] == 3


async def test_each_round_has_its_own_reference(client: httpx.AsyncClient) -> None:
    sent = prompt("a", "b")
    sent["responses"][0]["reference"] = True
    public_id = await post(client, sent)
    assert (await counts(client))["latest_round"] == 1
    second = [{"text": "c", "round": 2, "reference": True}, {"text": "d", "round": 2}]
    assert (await add(client, public_id, *second)).status_code == 201
    again = await add(client, public_id, {"text": "e", "round": 2, "reference": True})
    assert again.status_code == 409
    assert fields(again) == [["body", "responses"]]
    assert "of that round" in again.json()["detail"]
    assert await stored(client, public_id) == [
        ("a", 1, True),
        ("b", 1, False),
        ("c", 2, True),
        ("d", 2, False),
    ]
    assert (await counts(client))["latest_round"] == 2


async def test_two_references_of_one_round_in_one_request_are_refused(
    client: httpx.AsyncClient,
) -> None:
    for rounds, status in (((1, 1), 422), ((2, 2), 422), ((1, 2), 201)):
        sent = prompt("a", "b", content=f"{rounds}")
        for response, number in zip(sent["responses"], rounds, strict=True):
            response |= {"reference": True, "round": number}
        assert (await client.post("/prompts", json=sent)).status_code == status, rounds


async def test_what_is_stored_stays_in_its_round(client: httpx.AsyncClient) -> None:
    sent = prompt("a", "b", id="p")
    sent["responses"][0]["id"] = "first"
    public_id = await post(client, sent)
    for response in sent["responses"]:
        response["round"] = 2
    assert (await client.post("/prompts", json=sent)).json()["unchanged"] == 1
    answer = await add(client, public_id, {"id": "first", "text": "a", "round": 2})
    assert answer.json()["unchanged"] == 1
    answer = await add(client, public_id, {"text": "b", "round": 2})
    assert [each["reason"] for each in answer.json()["dropped"]] == ["duplicate"]
    assert await stored(client, public_id) == [("a", 1, False), ("b", 1, False)]
    assert (await counts(client))["latest_round"] == 1


@pytest.mark.parametrize("number", [0, -1, 1001, 1.5, "2", None, True])
async def test_no_other_rounds(client: httpx.AsyncClient, number: Any) -> None:
    sent = prompt("a", "b")
    sent["responses"][1]["round"] = number
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 422
    assert fields(answer) == [["body", "responses", 1, "round"]]


async def test_an_import_adds_a_round_with_its_reference(client: httpx.AsyncClient) -> None:
    first = prompt("a", "b", id="p")
    first["responses"][0]["reference"] = True
    second = prompt("a", "c", "d", id="p")
    for response in second["responses"]:
        response["round"] = 2
    second["responses"][1]["reference"] = True
    third = prompt("e", "f", id="p")
    third["responses"][0] |= {"reference": True, "round": 2}
    report = await import_lines(client, as_lines([first, second, third]))
    assert (report["created"], report["extended"], report["rejected_count"]) == (1, 1, 1)
    assert "another reference response of that round" in report["rejected"][0]["detail"]
    found = (await client.get("/prompts")).json()["prompts"][0]["id"]
    assert await stored(client, found) == [
        ("a", 1, True),
        ("b", 1, False),
        ("c", 2, True),
        ("d", 2, False),
    ]
    assert (await counts(client))["latest_round"] == 2
    # In a second import as well; a table's cells are strings.
    later = prompt("a", "g", id="p")
    later["responses"][1]["round"] = "4"
    assert (await import_lines(client, as_lines([later])))["extended"] == 1
    assert (await counts(client))["latest_round"] == 4
