"""Annotators get other names, and are erased: everywhere, and whatever they do meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import text

from app.accounts.schemas import AnnotatorChange
from app.accounts.service import Principal
from app.annotation.claim import ClaimRequest, claim_pairs
from app.annotation.renaming import change_annotator
from app.annotation.schemas import NewLabel
from app.annotation.settle import settle_labels
from app.annotation.verify import find_differences
from app.insights.cache import Cache
from app.insights.service import project_stats
from app.storage.ids import IdKind, decode
from app.storage.tables import Base
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.support.api import ClientFactory

ANA = "ana@example.org"


async def _label(client: httpx.AsyncClient, pair: dict[str, Any], choice: str = "left") -> str:
    sent = {"assignment_id": pair["assignment_id"], "choice": choice}
    answer = await client.post("/labels", json=sent)
    assert answer.status_code == 201, answer.text
    label_id: str = answer.json()["labels"][0]["id"]
    return label_id


async def _import_label(
    client: httpx.AsyncClient, pair: dict[str, Any], annotator: str, preferred: str = "left"
) -> str:
    rejected = "right" if preferred == "left" else "left"
    answer = await client.post(
        "/labels",
        json={
            "prompt_id": pair["prompt_id"],
            "annotator": annotator,
            "preferred": pair[preferred]["response_id"],
            "rejected": pair[rejected]["response_id"],
        },
    )
    assert answer.status_code == 201, answer.text
    label_id: str = answer.json()["labels"][0]["id"]
    return label_id


async def _rename(client: httpx.AsyncClient, name: str, new_name: str) -> httpx.Response:
    return await client.patch(f"/annotators/{name}", json={"name": new_name})


async def _names(client: httpx.AsyncClient) -> list[str]:
    labels = (await client.get("/labels")).json()["labels"]
    return [label["annotator"] for label in labels]


async def _tables_with(world: World, wanted: str) -> set[str]:
    """The tables that hold this text anywhere."""
    found = set()
    async with world.sessions() as session:
        for table in Base.metadata.tables:
            row = text(
                f"SELECT EXISTS (SELECT FROM {table} AS row WHERE strpos(row::text, :w) > 0)"
            )
            if await session.scalar(row, {"w": wanted}):
                found.add(table)
    return found


@pytest.fixture
async def ana(client: httpx.AsyncClient, world: World, annotator_client: ClientFactory) -> Any:
    """Ana, who has labelled, skipped, undone and imported, and holds a pair."""
    await world.add_pairs(8)
    made: httpx.AsyncClient = await annotator_client(ANA)
    first, second, third, *_ = (await claim(made, budget=5))["pairs"]
    await _label(made, first)
    await _label(made, second, "skip")
    undone = await _label(made, third)
    await made.delete(f"/labels/{undone}")
    taken = (await claim(client, budget=2))["pairs"]
    await _import_label(client, taken[-1], ANA)
    for pair in taken:
        await client.delete(f"/assignments/{pair['assignment_id']}")
    assert await _tables_with(world, ANA) == {"annotators", "labels"}
    return made


@pytest.mark.parametrize("is_erased", [False, True])
async def test_the_old_name_is_nowhere_and_nothing_else_has_changed(
    client: httpx.AsyncClient, world: World, ana: httpx.AsyncClient, is_erased: bool
) -> None:
    before = (await client.get("/labels")).json()["labels"]
    exported = (await client.get("/exports/dpo")).content
    project = (await client.get("/projects/default")).json()

    if is_erased:
        assert (await client.delete(f"/annotators/{ANA}?erase=true")).status_code == 204
    else:
        assert (await _rename(client, ANA, "annotator 7")).status_code == 200

    assert await _tables_with(world, ANA) == set()
    after = (await client.get("/labels")).json()["labels"]
    (name,) = {label["annotator"] for label in after}
    assert name.startswith("erased-") if is_erased else name == "annotator 7"
    her_own = {name, None}
    assert {label["withdrawn_by"] for label in after} == her_own
    with_old_name = [
        {**label, "annotator": ANA, "withdrawn_by": label["withdrawn_by"] and ANA}
        for label in after
    ]
    assert with_old_name == before
    assert (await client.get("/exports/dpo")).content == exported
    now = (await client.get("/projects/default")).json()
    assert now["counts"]["labels"] == project["counts"]["labels"]
    assert now["ledger"]["spent"] == project["ledger"]["spent"]
    figures = (await client.get("/stats")).json()["annotators"]
    assert [each["name"] for each in figures] == [name]
    async with world.sessions() as session:
        assert await find_differences(session) == []


async def test_a_renamed_annotator_goes_on_with_the_same_key(
    client: httpx.AsyncClient, ana: httpx.AsyncClient
) -> None:
    held = (await claim(ana, budget=1))["pairs"]

    answer = await _rename(client, ANA, "ana b")

    assert answer.json()["name"] == "ana b"
    assert (await claim(ana, budget=1))["pairs"] == held
    await _label(ana, held[0])
    own = (await ana.get("/labels")).json()["labels"]
    assert {label["annotator"] for label in own} == {"ana b"}
    assert len(own) == len(await _names(client))
    assert (await client.get("/labels", params={"annotator": ANA})).json()["labels"] == []
    assert (await ana.delete(f"/labels/{own[-1]['id']}")).status_code == 204


async def test_an_erased_annotator_is_out_and_holds_nothing(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    assert (await client.delete(f"/annotators/{ANA}?erase=true")).status_code == 204
    assert (await ana.get("/next-pairs")).status_code == 401
    listed = (await client.get("/annotators")).json()["annotators"]
    (erased,) = [each for each in listed if each["name"].startswith("erased-")]
    assert not erased["active"]
    counts = (await client.get("/projects/default")).json()["counts"]
    assert counts["held_assignments"] == 0
    assert (await client.delete(f"/annotators/{ANA}?erase=true")).status_code == 404
    # The name is free again, for somebody who begins anew.
    again = await annotator_client(ANA)
    assert (await again.get("/labels")).json()["labels"] == []


@pytest.mark.parametrize("name", ["lea@example.org", "a/b key", "ünïcode 名", "x" * 256])
async def test_a_name_that_only_stands_in_labels_is_renamed_and_erased_too(
    client: httpx.AsyncClient, world: World, name: str
) -> None:
    await world.add_pairs(2)
    first, second = (await claim(client, budget=2))["pairs"]
    await _import_label(client, first, name)
    await client.delete(f"/labels/{await _import_label(client, second, name)}")
    path = "/annotators/" + name.replace("/", "%2F")

    renamed = await client.patch(path, json={"name": "lea"})

    assert renamed.status_code == 200, renamed.text
    assert renamed.json() == {"name": "lea", "labels": 1}
    assert await _tables_with(world, name) == set()
    assert (await client.patch(path, json={"name": "other"})).status_code == 404
    assert (await client.delete("/annotators/lea?erase=true")).status_code == 204
    assert all(name.startswith("erased-") for name in await _names(client))
    assert await _tables_with(world, "lea") == set()


async def test_a_name_in_use_is_not_given_again(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    await annotator_client("ben")
    (pair,) = (await claim(client, budget=1))["pairs"]
    undone = await _import_label(client, pair, "history")
    await client.delete(f"/labels/{undone}")
    await _import_label(client, pair, "import")

    for taken in ("ben", "admin", "history", "import"):
        for name in (ANA, "import"):
            if taken != name:
                answer = await _rename(client, name, taken)
                assert answer.status_code == 409, (name, taken)
                assert answer.json()["type"].endswith("/name-taken")
    assert (await _rename(client, ANA, ANA)).json()["name"] == ANA


async def test_the_admin_keeps_its_name(client: httpx.AsyncClient) -> None:
    renamed = await _rename(client, "admin", "boss")
    erased = await client.delete("/annotators/admin?erase=true")
    for answer in (renamed, erased):
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/admin-named")


async def test_the_last_active_admin_is_not_erased(client: httpx.AsyncClient, world: World) -> None:
    made = await client.post("/annotators", json={"name": "second", "role": "admin"})
    assert made.status_code == 201
    assert (await client.patch("/annotators/admin", json={"role": "annotator"})).status_code == 200
    second = httpx.AsyncClient(
        transport=client._transport,
        base_url=client.base_url,
        headers={"Authorization": f"Bearer {made.json()['key']}"},
    )
    answer = await second.delete("/annotators/second?erase=true")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/last-admin")
    assert await _tables_with(world, "erased-") == set()


@pytest.mark.parametrize(
    ("body", "field"), [({"name": None}, "name"), ({"name": ""}, "name"), ({"name": "a/b"}, "name")]
)
async def test_a_wrong_name_is_refused(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.patch(f"/annotators/{ANA}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][-1] == field


async def test_name_and_role_change_together_or_not_at_all(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, world: World
) -> None:
    wrong = {"name": "ana", "projects": ["none"]}
    assert (await client.patch(f"/annotators/{ANA}", json=wrong)).status_code == 422
    assert await _tables_with(world, ANA) == {"annotators", "labels"}
    right = {"name": "ana", "role": "admin"}
    changed = (await client.patch(f"/annotators/{ANA}", json=right)).json()
    assert (changed["name"], changed["role"]) == ("ana", "admin")
    assert (await ana.get("/annotators")).status_code == 200


async def test_only_labels_have_no_role(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(1)
    (pair,) = (await claim(client, budget=1))["pairs"]
    await _import_label(client, pair, "lea")
    both = {"name": "new", "role": "admin"}
    assert (await client.patch("/annotators/lea", json=both)).status_code == 404
    assert await _names(client) == ["lea"]


async def test_an_annotator_may_not_rename_or_erase(ana: httpx.AsyncClient) -> None:
    assert (await _rename(ana, ANA, "other")).status_code == 403
    assert (await ana.delete(f"/annotators/{ANA}?erase=true")).status_code == 403


async def test_cached_figures_forget_the_old_name(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, world: World
) -> None:
    cache: Cache[Any] = Cache(lambda *_: True)  # whatever it holds is fresh

    async def names() -> list[str]:
        stats = await project_stats(world.sessions, cache, "default")
        return [each.name for each in stats.annotators]

    assert await names() == [ANA]
    await _rename(client, ANA, "ana")
    assert await names() == ["ana"]


async def test_the_log_of_requests_does_not_hold_the_name(
    client: httpx.AsyncClient, ana: httpx.AsyncClient
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    try:
        with structlog.testing.capture_logs() as logs:
            await client.post(f"/annotators/{ANA}/key")
            await _rename(client, ANA, "ana")
            await client.delete("/annotators/ana?erase=true")
    finally:
        structlog.reset_defaults()
    assert [log["path"] for log in logs if log["event"] == "request"] == ["/annotators/{name}"] * 3
    assert not any(ANA in str(log) for log in logs)


async def _principal(world: World, name: str) -> Principal:
    async with world.sessions() as session:
        number = await session.scalar(
            text("SELECT id FROM annotators WHERE name = :name"), {"name": name}
        )
    return Principal(int(number), name, "annotator", all_projects=True)


async def _settled_while_renamed(
    world: World, ana: httpx.AsyncClient
) -> Callable[[], Awaitable[int]]:
    """Store a label of ana's that waits for her new name; what sends it again gives how many."""
    before = await _principal(world, ANA)
    (pair,) = (await claim(ana, budget=1))["pairs"]
    label = NewLabel.model_validate({"assignment_id": pair["assignment_id"], "choice": "left"})

    async def settle() -> int:
        async with world.sessions.begin() as session:
            return (await settle_labels(session, before, [label])).created

    async with world.sessions.begin() as session:
        await change_annotator(session, ANA, AnnotatorChange(name="ana"))
        settling = asyncio.create_task(settle())
        await world.until_waiting(1)
    assert await settling == 1
    return settle


async def test_a_label_that_meets_its_annotators_new_name_is_stored_under_that(
    client: httpx.AsyncClient, ana: httpx.AsyncClient, world: World
) -> None:
    settle = await _settled_while_renamed(world, ana)
    assert await settle() == 0  # the same label again, with the old name once more
    assert set(await _names(client)) == {"ana"}


async def test_a_first_label_in_a_project_meets_a_new_name_too(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    """The project has none of the annotator's labels yet, so the renaming does not lock it."""
    await world.add_pairs(2)
    ana = await annotator_client(ANA)
    await _settled_while_renamed(world, ana)
    assert await _names(client) == ["ana"]


async def test_a_claim_that_meets_a_new_name_passes_over_labels_of_that_name(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    planned = await world.add_pairs(2, labels_wanted=2)
    await annotator_client(ANA)
    before = await _principal(world, ANA)
    judged, _ = (await claim(client, budget=2))["pairs"]
    await _import_label(client, judged, ANA)
    assert decode(IdKind.PAIR, judged["pair_id"]) == planned[0]
    await client.delete(f"/assignments/{judged['assignment_id']}")
    await _rename(client, ANA, "ana")

    async with world.sessions.begin() as session:
        claimed = await claim_pairs(session, ClaimRequest(before, "default", 2))

    assert [held.pair_id for held in claimed.pairs] == planned[1:]


async def test_names_that_change_again_and_again_lose_no_label(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(30)
    ana = await annotator_client("ana 0")
    done = 0

    async def work() -> None:
        nonlocal done
        while held := (await claim(ana, budget=2))["pairs"]:
            for pair in held:
                await _label(ana, pair)
                done += 1

    async def rename() -> int:
        times = 0
        while done < 30:
            answer = await _rename(client, f"ana {times}", f"ana {times + 1}")
            assert answer.status_code == 200, answer.text
            times += 1
        return times

    _, times = await asyncio.gather(work(), rename())
    assert await _names(client) == [f"ana {times}"] * 30
    async with world.sessions() as session:
        assert await find_differences(session) == []


async def test_two_renamings_to_one_name_are_one_and_a_conflict(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await annotator_client("ana")
    await annotator_client("ben")
    answers = await asyncio.gather(
        _rename(client, "ana", "new"),
        _rename(client, "ben", "new"),
        client.post("/annotators", json={"name": "new"}),
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([200, 409, 409], [201, 409, 409])
