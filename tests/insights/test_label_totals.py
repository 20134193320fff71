"""`GET /stats/annotators`: labels over all projects."""

import httpx

from tests.annotation.conftest import World
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory


async def test_labels_that_count_are_counted_over_all_projects(
    client: httpx.AsyncClient,
    annotator_client: ClientFactory,
    world: World,
) -> None:
    await world.add_pairs(3)
    ana = await annotator_client("ana")
    pairs = await held(ana, 3)
    for pair, choice in zip(pairs, ("left", "tie", "skip"), strict=True):
        await post(ana, {"assignment_id": pair["assignment_id"], "choice": choice})
    await client.post("/projects", json={"name": "other"})
    sent = {
        "id": "q",
        "prompt": "?",
        "responses": [{"text": "yes", "id": "a"}, {"text": "no", "id": "b"}],
    }
    await client.post("/prompts?project=other", json=sent)
    imported = {"prompt_id": "q", "preferred": "a", "rejected": "b", "annotator": "ana"}
    await client.post("/labels?project=other", json=imported)
    await client.post("/labels?project=other", json=imported | {"annotator": "zoë"})
    assert (await client.get("/stats/annotators")).json()["annotators"] == [
        {"name": "ana", "labels": 3},
        {"name": "zoë", "labels": 1},
    ]
    assert (await ana.get("/stats/annotators")).status_code == 403
