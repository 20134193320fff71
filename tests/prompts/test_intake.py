import asyncio

import httpx
import numpy as np
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.embedding.unit import from_bytes
from app.storage.tables import ProjectIntake, Prompt, PromptEmbedding, ResponseEmbedding
from tests.prompts.sending import counts, embedded, in_base64, prompt

Sessions = async_sessionmaker[AsyncSession]


async def test_a_prompt_comes_back_exactly_as_it_was_sent(client: httpx.AsyncClient) -> None:
    content = [
        {"role": "system", "content": " Be brief.\r\n"},
        {"role": "user", "content": "\u202eمرحبا 👋🏽 \ufeff\u0001 e\u0301"},
    ]
    sent = {
        "id": "ünï-🙂",
        "prompt": content,
        "responses": [
            {
                "id": "a",
                "text": "\t first \n",
                "model": "sft",
                "score": -1.5,
                "metadata": {"logprob_safe": -41.2, "deep": [{"x": [None, True, "é"]}]},
            },
            {"text": "سلام", "reference": True},
        ],
        "metadata": {"source": "wiki"},
    }
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 201, answer.text
    taken = answer.json()["prompts"][0]
    found = (await client.get(f"/prompts/{taken['id']}")).json()
    assert found["prompt"] == content
    assert found["metadata"] == {"source": "wiki"}
    assert found["external_id"] == "ünï-🙂"
    assert found["status"] == "pending"
    assert found["group"] is None
    first, second = found["responses"]
    assert first["text"] == "\t first \n"
    assert (first["external_id"], first["model"], first["score"]) == ("a", "sft", -1.5)
    assert first["metadata"] == {"logprob_safe": -41.2, "deep": [{"x": [None, True, "é"]}]}
    assert (second["text"], second["reference"], second["external_id"]) == ("سلام", True, None)
    assert [each["id"] for each in taken["responses"]] == [first["id"], second["id"]]


async def test_one_prompt_and_many_are_counted(client: httpx.AsyncClient) -> None:
    one = (await client.post("/prompts", json=prompt(id="one"))).json()
    assert (one["created"], one["unchanged"]) == (1, 0)
    many = {"prompts": [prompt(id="two"), prompt(id="one"), prompt(id="three")]}
    answer = (await client.post("/prompts", json=many)).json()
    assert (answer["created"], answer["unchanged"]) == (2, 1)
    assert [each["created"] for each in answer["prompts"]] == [True, False, True]
    assert answer["prompts"][1]["id"] == one["prompts"][0]["id"]
    assert (await counts(client))["pending_prompts"] == 3


async def test_empty_and_repeated_texts_are_left_out_and_told(client: httpx.AsyncClient) -> None:
    sent = prompt("a", " \n", "b", " a ")
    for number, response in enumerate(sent["responses"]):
        response["id"] = f"r{number}"
    taken = (await client.post("/prompts", json=sent)).json()["prompts"][0]
    assert [each["external_id"] for each in taken["responses"]] == ["r0", "r2"]
    assert taken["dropped"] == [
        {"external_id": "r1", "reason": "empty"},
        {"external_id": "r3", "reason": "duplicate"},
    ]


async def test_a_request_is_stored_in_whole_or_not_at_all(client: httpx.AsyncClient) -> None:
    await client.post("/prompts", json=prompt("a", "b", id="taken"))
    sent = {"prompts": [prompt(id="fresh"), prompt("a", "c", id="taken")]}
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["loc"] == ["body", "prompts", 1, "responses"]
    assert (await counts(client))["prompts"] == 1


async def test_the_same_id_with_other_texts_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.post("/prompts", json=prompt("a", "b", "c", id="p"))
    for other in (
        prompt("a", "b", id="p"),
        prompt("a", "b", "d", id="p"),
        prompt("a", "b", "c", "d", id="p"),
        prompt("a ", "b", "c", id="p"),
        prompt("a", "b", "c", id="p", content="Something else"),
    ):
        answer = await client.post("/prompts", json=other)
        assert answer.status_code == 409, other
        assert answer.json()["type"].endswith("prompt-differs")


async def test_the_order_of_texts_matters_only_without_an_id(client: httpx.AsyncClient) -> None:
    await client.post("/prompts", json={"prompts": [prompt("a", "b", id="p"), prompt("a", "b")]})
    named = (await client.post("/prompts", json=prompt("b", "a", id="p"))).json()
    assert named["unchanged"] == 1
    unnamed = (await client.post("/prompts", json=prompt("b", "a"))).json()
    assert unnamed["created"] == 1
    again = (await client.post("/prompts", json=prompt("a", "b"))).json()
    assert again["unchanged"] == 1


async def test_responses_of_a_prompt_sent_again_stand_in_the_order_sent(
    client: httpx.AsyncClient,
) -> None:
    first = (await client.post("/prompts", json=prompt("a", "b", id="p"))).json()["prompts"][0]
    again = (await client.post("/prompts", json=prompt("b", "a", id="p"))).json()["prompts"][0]
    assert again["responses"] == first["responses"][::-1]


async def test_a_response_id_that_stands_for_another_text_is_a_conflict(
    client: httpx.AsyncClient,
) -> None:
    def named(a: str, b: str) -> dict[str, object]:
        return {
            "id": "p",
            "prompt": "x",
            "responses": [{"id": "a", "text": a}, {"id": "b", "text": b}],
        }

    assert (await client.post("/prompts", json=named("one", "two"))).status_code == 201
    assert (await client.post("/prompts", json=named("two", "one"))).status_code == 409


async def test_metadata_and_scores_of_a_prompt_sent_again_are_brought_up_to_date(
    client: httpx.AsyncClient,
) -> None:
    sent = prompt("a", "b", id="p", metadata={"run": 1})
    sent["responses"][0] |= {"score": 1.0, "metadata": {"k": 1}}
    public_id = (await client.post("/prompts", json=sent)).json()["prompts"][0]["id"]
    sent["metadata"] = {"run": 2}
    sent["responses"][0] |= {"score": 2.5, "metadata": None}
    sent["responses"][1] |= {"score": -1}
    assert (await client.post("/prompts", json=sent)).json()["unchanged"] == 1
    await client.post("/prompts", json=prompt("a", "b", id="p"))
    found = (await client.get(f"/prompts/{public_id}")).json()
    assert found["metadata"] == {"run": 2}
    assert [each["score"] for each in found["responses"]] == [2.5, -1.0]
    assert found["responses"][0]["metadata"] == {"k": 1}


async def test_repeats_within_a_request_behave_as_across_requests(
    client: httpx.AsyncClient,
) -> None:
    with_score = prompt("a", "b", id="p")
    with_score["responses"][0]["score"] = 3.0
    with_metadata = prompt("a", "b", id="p")
    with_metadata["responses"][0]["metadata"] = {"k": 1}
    sent = {"prompts": [prompt("a", "b", id="p"), with_score, with_metadata]}
    answer = (await client.post("/prompts", json=sent)).json()
    assert (answer["created"], answer["unchanged"]) == (1, 2)
    found = (await client.get(f"/prompts/{answer['prompts'][0]['id']}")).json()
    assert (found["responses"][0]["score"], found["responses"][0]["metadata"]) == (3.0, {"k": 1})
    differing = {"prompts": [prompt("a", "b", id="q"), prompt("a", "c", id="q")]}
    assert (await client.post("/prompts", json=differing)).status_code == 409


async def test_the_same_prompts_posted_at_once_are_created_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    named = [prompt(f"a{number}", "b", id=f"p{number}") for number in range(40)]
    unnamed = [prompt(f"c{number}", "d") for number in range(40)]
    orders = [[*named, *unnamed], [*unnamed, *reversed(named)]] * 3
    answers = await asyncio.gather(
        *(client.post("/prompts", json={"prompts": order}) for order in orders)
    )
    assert [answer.status_code for answer in answers] == [201] * 6, answers[0].text
    assert sum(answer.json()["created"] for answer in answers) == 80
    assert sum(answer.json()["unchanged"] for answer in answers) == 5 * 80
    ids = {each["id"] for answer in answers for each in answer.json()["prompts"]}
    assert len(ids) == 80
    async with sessions() as session:
        intake = (await session.scalars(select(ProjectIntake))).one()
    assert (intake.prompts, intake.pending, intake.unplanned) == (80, 80, 80)


async def test_prompts_are_listed_in_pages_newest_last(client: httpx.AsyncClient) -> None:
    sent = {"prompts": [prompt(id=f"p{number}") for number in range(5)]}
    await client.post("/prompts", json=sent)
    await client.post("/projects", json={"name": "vectors"})
    ready = embedded([1, 0], [0, 1])
    await client.post("/prompts", json=ready, params={"project": "vectors"})
    names: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/prompts", params=query)).json()
        names += [each["external_id"] for each in page["prompts"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == [f"p{number}" for number in range(5)]
    only_ready = (await client.get("/prompts", params={"status": "ready"})).json()
    assert only_ready["prompts"] == []
    in_vectors = {"status": "ready", "project": "vectors"}
    assert len((await client.get("/prompts", params=in_vectors)).json()["prompts"]) == 1


async def test_callers_vectors_are_normalised_and_the_prompt_is_ready(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    sent = embedded([3, 4, 0], in_base64(0, 0, 1e30))
    taken = (await client.post("/prompts", json=sent)).json()["prompts"][0]
    assert taken["status"] == "ready"
    async with sessions() as session:
        of_responses = from_bytes(list(await session.scalars(select(ResponseEmbedding.vector))), 3)
        of_prompt = from_bytes(list(await session.scalars(select(PromptEmbedding.vector))), 3)
        intake = (await session.scalars(select(ProjectIntake))).one()
    np.testing.assert_allclose(of_responses, [[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]], atol=1e-3)
    mean = [[number / 0.5**0.5 for number in (0.3, 0.4, 0.5)]]
    np.testing.assert_allclose(of_prompt, mean, atol=1e-3)
    assert (intake.prompts, intake.pending, intake.unplanned) == (1, 0, 1)


async def test_a_prompt_may_have_a_vector_of_its_own(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await client.post("/prompts", json=embedded([1, 0], [0, 1], embedding=[0, -2]))
    async with sessions() as session:
        of_prompt = from_bytes(list(await session.scalars(select(PromptEmbedding.vector))), 2)
    np.testing.assert_allclose(of_prompt, [[0, -1]], atol=1e-3)


async def test_a_project_has_its_callers_vectors_or_the_services(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/prompts", json=embedded([1, 0], [0, 1], id="p"))).status_code == 201
    without = await client.post("/prompts", json=prompt(id="q"))
    longer = await client.post("/prompts", json=embedded([1, 0, 0], [0, 1, 0], id="q"))
    for answer in (without, longer):
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("embeddings-differ")
        assert answer.json()["errors"][0]["loc"] == ["body", "responses"]
    await client.post("/projects", json={"name": "service"})
    query = {"project": "service"}
    assert (await client.post("/prompts", json=prompt(), params=query)).status_code == 201
    given = await client.post("/prompts", json=embedded([1, 0], [0, 1]), params=query)
    assert given.status_code == 409


async def test_a_prompt_with_vectors_may_be_sent_again_without(client: httpx.AsyncClient) -> None:
    await client.post("/prompts", json=embedded([1, 0], [0, 1], id="p"))
    again = prompt("response 0", "response 1", id="p")
    assert (await client.post("/prompts", json=again)).json()["unchanged"] == 1


async def test_first_prompts_posted_at_once_settle_the_embeddings_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    bodies = [embedded([1, 0], [0, 1], id="p"), prompt(id="q")] * 3
    answers = await asyncio.gather(*(client.post("/prompts", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {201, 409}
    async with sessions() as session:
        statuses = set(await session.scalars(select(Prompt.status)))
    assert len(statuses) == 1


async def test_an_unknown_project_is_not_found(client: httpx.AsyncClient) -> None:
    query = {"project": "nowhere"}
    assert (await client.post("/prompts", json=prompt(), params=query)).status_code == 404
    assert (await client.get("/prompts", params=query)).status_code == 404
