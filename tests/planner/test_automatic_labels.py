"""A pair with nothing but a model's label can still be chosen for people."""

import numpy as np
from sqlalchemy import select, update

from app.annotation.imported_labels import ImportedLabel, store_imported_labels
from app.storage.tables import Label, Pair, Prompt, Response
from tests.planner.planning import PlanWorld, unit


async def test_the_planner_takes_it_over(world: PlanWorld) -> None:
    rng = np.random.default_rng(17)
    ids = await world.add_prompts(unit(rng, 6), unit(rng, 6, 3))
    async with world.sessions.begin() as session:
        rows = (await session.execute(select(Response.prompt_id, Response.id))).all()
        both = {each: sorted(row.id for row in rows if row.prompt_id == each)[:2] for each in ids}
        labels = [
            ImportedLabel(each, (first, second), first, annotator="sft", automatic=True)
            for each, (first, second) in both.items()
        ]
        await store_imported_labels(session, world.project_id, labels)
        await session.execute(update(Prompt).values(exploration=None))

    await world.plan()

    async with world.sessions() as session:
        pairs = list(await session.scalars(select(Pair)))
        planned = set(await session.scalars(select(Prompt.pairs_planned)))
        kept = list(await session.scalars(select(Label)))
    assert len(pairs) == 6 * 3
    assert {pair.arm for pair in pairs} <= {"strategy", "exploration"}
    assert not any(pair.handed_out for pair in pairs)
    assert all(pair.open for pair in pairs)
    assert planned == {3}
    assert [label.status for label in kept] == ["automatic"] * 6
