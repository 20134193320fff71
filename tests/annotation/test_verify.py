"""`annotation-budget ledger verify`: nothing differs in a sound database, and damage is named."""

from decimal import Decimal

import httpx
import pytest
from sqlalchemy import text

from app.annotation.verify import Difference, find_differences, verify
from app.storage.ids import IdKind, decode, encode
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory


@pytest.fixture
async def worked(
    client: httpx.AsyncClient, annotator_client: ClientFactory, world: World
) -> dict[str, int]:
    """A project in which all has happened; some numbers of its pairs, assignments and labels."""
    await world.set_project(budget_limit=100, exploration=0, labels_per_pair=2)
    await world.add_pairs(12, labels_wanted=2)
    ana = await annotator_client("ana")
    mine, hers = await held(client, 8), await held(ana, 3)
    choices = ["left", "right", "tie", "both_bad", "skip", "left"]
    labels = [
        {"assignment_id": pair["assignment_id"], "choice": choice}
        for pair, choice in zip(mine, choices, strict=False)
    ]
    stored = (await post(client, {"labels": labels}))["labels"]
    await client.delete(f"/labels/{stored[0]['id']}")  # held again
    await client.delete(f"/labels/{stored[4]['id']}")  # a skip, held again
    await client.delete(f"/assignments/{mine[6]['assignment_id']}")
    await world.lapse_all()
    await held(ana, 4)
    late = {"assignment_id": mine[7]["assignment_id"], "choice": "right"}
    await post(client, late)
    preferred, rejected = (hers[0][side]["response_id"] for side in ("left", "right"))
    imported = {
        "prompt_id": hers[0]["prompt_id"],
        "annotator": "import",
        "preferred": preferred,
        "rejected": rejected,
    }
    await post(client, imported)
    await client.delete(f"/prompts/{stored[1]['prompt_id']}")
    now_held = (await claim(ana, budget=4))["pairs"]
    return {
        "pair": decode(IdKind.PAIR, stored[2]["pair_id"]) or 0,
        "label": decode(IdKind.LABEL, stored[2]["id"]) or 0,
        "held": decode(IdKind.ASSIGNMENT, now_held[0]["assignment_id"]) or 0,
    }


async def test_nothing_differs_after_all_that_can_happen(
    worked: dict[str, int], world: World
) -> None:
    async with world.sessions() as session:
        found = await verify(session)
    assert found.differences == []
    (project,) = found.projects
    assert (project.name, project.unit) == ("default", "labels")
    assert project.spent > 0
    assert project.reserved > 0
    assert project.counted_labels > 0


DAMAGE = {
    "UPDATE projects SET spent = spent + 1": {"spent, by the ledger's entries"},
    "UPDATE projects SET reserved = reserved + 0.5": {
        "reserved, by the ledger's entries",
        "reserved, by the held assignments",
    },
    "UPDATE projects SET counted_labels = counted_labels + 1": {"counted labels"},
    "UPDATE projects SET surplus_labels = surplus_labels + 1": {"surplus labels"},
    "UPDATE project_intake SET prompts = prompts + 1": {"prompts"},
    "UPDATE project_intake SET pending = pending + 1": {"pending prompts"},
    "UPDATE project_intake SET unplanned = unplanned + 1": {"unplanned prompts"},
    "UPDATE project_intake SET failed = failed + 1": {"failed prompts"},
    "DELETE FROM project_intake": {
        "prompts",
        "pending prompts",
        "failed prompts",
        "unplanned prompts",
    },
    "UPDATE pairs SET held = held - 1 WHERE id = :pair": {"held"},
    "UPDATE pairs SET counted = counted - 1 WHERE id = :pair": {"counted"},
    "UPDATE pairs SET imported = imported + 1 WHERE id = :pair": {"imported"},
    "UPDATE pairs SET skips = skips + 1 WHERE id = :pair": {"skips"},
    "DELETE FROM labels WHERE id = :label": {
        "counted",
        "counted labels",
        "answered, by its label",
    },
    "UPDATE labels SET cost = cost + 1 WHERE id = :label": {"cost, by the ledger's entries"},
    "UPDATE assignments SET reserved = reserved + 1 WHERE id = :held": {
        "reserved, by the held assignments",
        "reserved, by the ledger's entries",
    },
    "DELETE FROM assignments WHERE id = :held": {
        "held",
        "reserved, by the held assignments",
        "reserved, by the ledger's entries",
    },
    "UPDATE assignments SET status = 'answered' WHERE id = :held": {
        "held",
        "answered, by its label",
        "reserved, by the held assignments",
        "reserved, by the ledger's entries",
    },
    "UPDATE ledger_entries SET spent = spent + 1 WHERE label_id = :label": {
        "spent, by the ledger's entries",
        "cost, by the ledger's entries",
    },
}


async def test_whatever_is_damaged_is_named(worked: dict[str, int], world: World) -> None:
    for damage, named in DAMAGE.items():
        bound = {name: number for name, number in worked.items() if f":{name}" in damage}
        async with world.sessions() as session:  # rolled back at the end
            await session.execute(text(damage), bound)
            found = await find_differences(session)
        assert {difference.what for difference in found} == named, damage
        assert all(difference.project == "default" for difference in found)


async def test_what_differs_is_told_with_its_place_and_both_figures(
    worked: dict[str, int], world: World
) -> None:
    async with world.sessions.begin() as session:
        await session.execute(text("UPDATE pairs SET skips = 2 WHERE id = :pair"), worked)
    async with world.sessions() as session:
        (difference,) = (await verify(session)).differences
    pair_id = encode(IdKind.PAIR, worked["pair"])
    assert difference == Difference("default", pair_id, "skips", Decimal(2), Decimal(0))
