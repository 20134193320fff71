"""`GET /labels`, `/labels/counts` and `/pairs`: labels to look at again."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.annotation.queries import review as queries
from tests.annotation.conftest import World
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory

Labels = list[dict[str, Any]]


@pytest.fixture
async def ben(annotator_client: ClientFactory) -> httpx.AsyncClient:
    return await annotator_client("ben")


@pytest.fixture
async def said(
    annotator_client: ClientFactory, ben: httpx.AsyncClient, world: World
) -> dict[str, str]:
    """Labels of ana and ben, by a name of ours: the ids of the labels."""
    await world.set_project(exploration=0, labels_per_pair=2)
    await world.add_pairs(3, labels_wanted=2)
    await world.add_pairs(1, labels_wanted=2, arm="exploration", start=3)
    ana = await annotator_client("ana")
    hers, his = await held(ana, 3), await held(ben, 2)
    first = hers[0]["left"]["response_id"]
    ids = {}
    for name, who, pair, answer in (
        ("agreed", ana, hers[0], {"choice": "left", "strength": 3, "seconds": 12.5}),
        (
            "agreed too",
            ben,
            his[0],
            {"choice": _side_of(his[0], first), "edited_rejected": "Nearer to the other"},
        ),
        ("reason", ana, hers[1], {"choice": "tie", "rationale": 'The "second" cites\n100% \\ x_y'}),
        ("against", ben, his[1], {"choice": "right", "edited": "An ÄNSWER of mine"}),
        ("skip", ana, hers[2], {"choice": "skip"}),
    ):
        stored = await post(who, {"assignment_id": pair["assignment_id"], **answer})
        ids[name] = stored["labels"][0]["id"]
    await _undo(ana, ids["skip"])
    return ids


def _side_of(pair: dict[str, Any], response_id: str) -> str:
    return "left" if pair["left"]["response_id"] == response_id else "right"


async def _undo(client: httpx.AsyncClient, label_id: str) -> None:
    answer = await client.delete(f"/labels/{label_id}")
    assert answer.status_code == 204, answer.text


async def _labels(client: httpx.AsyncClient, **query: Any) -> Labels:
    answer = await client.get("/labels", params=query)
    assert answer.status_code == 200, answer.text
    found: Labels = answer.json()["labels"]
    return found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["agreed", "agreed too", "reason", "against", "skip"]),
        ({"order": "newest"}, ["skip", "against", "reason", "agreed too", "agreed"]),
        ({"annotator": "ana"}, ["agreed", "reason", "skip"]),
        ({"choice": "tie"}, ["reason"]),
        ({"choice": "skip"}, ["skip"]),
        ({"status": "counted"}, ["agreed", "agreed too", "reason", "against"]),
        ({"status": "withdrawn"}, ["skip"]),
        ({"status": "surplus"}, []),
        ({"reason": True}, ["reason"]),
        ({"reason": False, "status": "counted"}, ["agreed", "agreed too", "against"]),
        ({"edited": True}, ["agreed too", "against"]),
        ({"edited": False, "status": "counted"}, ["agreed", "reason"]),
        ({"q": "nearer TO"}, ["agreed too"]),
        ({"disagreement": True}, ["reason", "against"]),
        ({"disagreement": False, "status": "counted"}, ["agreed", "agreed too"]),
        ({"disagreement": True, "annotator": "ben"}, ["against"]),
        ({"arm": "exploration"}, []),
        ({"arm": "strategy", "annotator": "ben"}, ["agreed too", "against"]),
        ({"since": "2020-01-01"}, ["agreed", "agreed too", "reason", "against", "skip"]),
        ({"since": "2999-01-01T00:00:00Z"}, []),
        ({"q": "änswer OF mine"}, ["against"]),
        ({"q": 'the "second" cites'}, ["reason"]),
        ({"q": "100% \\ x_y"}, ["reason"]),
        ({"q": "100_"}, []),
        ({"q": "QUESTION strategy 1"}, ["reason", "against"]),
        ({"q": "answer 1 to strategy 0"}, ["agreed", "agreed too"]),
        ({"q": "role"}, []),
    ],
)
async def test_labels_are_found_by_every_filter(
    client: httpx.AsyncClient, said: dict[str, str], query: dict[str, Any], found: list[str]
) -> None:
    names = {label_id: name for name, label_id in said.items()}
    assert [names[label["id"]] for label in await _labels(client, **query)] == found


@pytest.mark.parametrize("order", ["oldest", "newest"])
@pytest.mark.parametrize("query", [{}, {"status": "counted"}, {"q": "strategy"}])
async def test_pages_follow_each_other_without_gap_or_repetition(
    client: httpx.AsyncClient, said: dict[str, str], order: str, query: dict[str, str]
) -> None:
    whole = await _labels(client, order=order, **query)
    assert len(whole) > 3
    paged: Labels = []
    cursor: dict[str, str] = {}
    while True:
        asked: dict[str, str | int] = {"order": order, "limit": 2, **query, **cursor}
        page = (await client.get("/labels", params=asked)).json()
        paged += page["labels"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == whole


async def test_a_search_goes_on_where_one_request_stops(
    client: httpx.AsyncClient, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCHED_LABELS", 2)
    query = {"q": "to strategy 0", "order": "newest"}
    found: list[str] = []
    pages = 0
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/labels", params=query | cursor)).json()
        found += [label["id"] for label in page["labels"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == [said["agreed too"], said["agreed"]]
    assert pages == 3  # of five labels, two at a time


async def test_a_label_tells_its_sides_and_who_withdrew_it(
    client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    by_id = {label["id"]: label for label in await _labels(client)}
    agreed = by_id[said["agreed"]]
    assert agreed["left_response_id"] == agreed["preferred_response_id"]
    assert agreed["right_response_id"] == agreed["rejected_response_id"]
    assert (agreed["arm"], agreed["similarity"]) == ("strategy", pytest.approx(0.3))
    assert (agreed["withdrawn_at"], agreed["withdrawn_by"]) == (None, None)
    skip = by_id[said["skip"]]
    assert skip["withdrawn_by"] == "ana"
    assert skip["withdrawn_at"] > skip["created_at"]
    assert {skip["left_response_id"], skip["right_response_id"]} != {None}
    assert (await client.get(f"/labels/{said['agreed']}")).json() == agreed
    await _undo(client, said["agreed"])
    assert (await client.get(f"/labels/{said['agreed']}")).json()["withdrawn_by"] == "admin"


async def test_texts_come_with_labels_where_they_are_asked_for(
    client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    assert all("texts" not in label for label in await _labels(client))
    for label in await _labels(client, texts=True, status="counted"):
        texts = label["texts"]
        assert texts["prompt"].startswith("question strategy")
        shown = {each["response_id"] for each in texts["responses"]}
        assert shown == {label["left_response_id"], label["right_response_id"]}
        assert all(each["text"].startswith("answer") for each in texts["responses"])
        assert all("model" in each for each in texts["responses"])


async def test_counts_say_how_many_there_are_of_each_kind(
    client: httpx.AsyncClient, said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counts(**query: str) -> dict[str, Any]:
        counted: dict[str, Any] = (await client.get("/labels/counts", params=query)).json()
        return counted

    everything = {"labels": 5, "disagreements": 2, "reasons": 1, "edited": 2, "limit": 10_000}
    assert await counts() == everything
    assert (await counts(status="counted"))["labels"] == 4
    of_ana = {"labels": 2, "disagreements": 1, "reasons": 1, "edited": 0, "limit": 10_000}
    assert await counts(annotator="ana", status="counted") == of_ana
    assert (await counts(arm="strategy"))["labels"] == 5
    assert (await counts(arm="exploration", choice="left", since="2020-01-01"))["labels"] == 0
    monkeypatch.setattr("app.annotation.review.service.COUNTED_AT_MOST", 3)
    assert (await counts())["labels"] == 3


async def test_pairs_come_with_all_that_was_said_of_them(
    client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    found = (await client.get("/pairs")).json()["pairs"]
    names = {label_id: name for name, label_id in said.items()}
    assert [[names[each["id"]] for each in pair["labels"]] for pair in found] == [
        ["skip"],
        ["reason", "against"],
        ["agreed", "agreed too"],
    ]
    disputed = (await client.get("/pairs", params={"disagreement": True})).json()["pairs"]
    assert disputed == [found[1]]
    assert (await client.get(f"/pairs/{found[1]['id']}")).json() == found[1]
    oldest = (await client.get("/pairs", params={"order": "oldest", "limit": 1})).json()
    assert oldest["pairs"] == [found[2]]
    rest = {"order": "oldest", "cursor": oldest["next_cursor"]}
    assert (await client.get("/pairs", params=rest)).json()["pairs"] == [found[1], found[0]]


async def test_annotators_see_their_own_and_nothing_that_biases(
    client: httpx.AsyncClient, ben: httpx.AsyncClient, said: dict[str, str]
) -> None:
    own = {said["agreed too"], said["against"]}
    labels = await _labels(ben, texts=True)
    assert {label["id"] for label in labels} == own
    assert not {"arm", "similarity"} & set().union(*labels)
    of_texts = set().union(*(each for label in labels for each in label["texts"]["responses"]))
    assert of_texts == {"response_id", "text"}
    assert await _labels(ben, annotator="ana") == []
    pairs = (await ben.get("/pairs")).json()["pairs"]
    assert {label["id"] for pair in pairs for label in pair["labels"]} == own
    assert not {"arm", "similarity", "strategy", "prompt_external_id"} & set().union(*pairs)
    counts = (await ben.get("/labels/counts")).json()
    assert (counts["labels"], counts["disagreements"], counts["edited"]) == (2, None, 2)
    of_ana = (await ben.get("/labels/counts", params={"annotator": "ana"})).json()
    assert (of_ana["labels"], of_ana["disagreements"]) == (0, None)
    never_seen = (await client.get(f"/labels/{said['skip']}")).json()["pair_id"]
    assert (await ben.get(f"/pairs/{never_seen}")).status_code == 404
    for path in ("/labels", "/labels/counts", "/pairs"):
        for hidden in ({"disagreement": "true"}, {"arm": "exploration"}):
            assert (await ben.get(path, params=hidden)).status_code == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"choice": "up"}, "choice"),
        ({"status": ""}, "status"),
        ({"arm": "leg"}, "arm"),
        ({"since": "yesterday"}, "since"),
        ({"q": "   "}, "q"),
        ({"q": "x" * 501}, "q"),
        ({"order": "best"}, "order"),
        ({"disagreement": "perhaps"}, "disagreement"),
        ({"cursor": "nowhere"}, "cursor"),
    ],
)
async def test_a_filter_of_the_wrong_form_is_named(
    client: httpx.AsyncClient, query: dict[str, str], field: str
) -> None:
    answer = await client.get("/labels", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", field]


@pytest.mark.parametrize("pair_id", ["pair_0000000000099", "lbl_0000000000001", "pair", "0"])
async def test_an_unknown_pair_is_a_404(client: httpx.AsyncClient, pair_id: str) -> None:
    for answer in (
        await client.get(f"/pairs/{pair_id}"),
        await client.post(f"/pairs/{pair_id}/correction", json={"choice": "tie"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"].endswith("/unknown-pair")


async def test_words_are_found_in_every_turn_of_a_chat_and_not_in_its_roles(
    client: httpx.AsyncClient, said: dict[str, str], world: World
) -> None:
    turns = '[{"role": "user", "content": "Früh \\"am\\" Tag"}, {"role": "user", "content": "Ja"}]'
    async with world.sessions.begin() as session:
        await session.execute(
            text("UPDATE prompts SET content = CAST(:turns AS jsonb)"), {"turns": turns}
        )
    assert len(await _labels(client, q='FRÜH "AM"')) == len(said)
    assert len(await _labels(client, q="ja")) == len(said)
    assert await _labels(client, q="user") == []
