import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.annotation.imported_labels import ImportedLabel, Outcome, store_imported_labels
from app.prompts.schemas import NewPrompt
from app.prompts.service import take_prompts
from app.storage.tables import Label, Pair, Project, Prompt, Response
from tests.prompts.sending import prompt

Sessions = async_sessionmaker[AsyncSession]


async def _prompt(session: AsyncSession) -> tuple[int, int, list[int]]:
    """A stored prompt with three responses: its project's number, its own, and theirs."""
    sent = NewPrompt.model_validate(prompt("a", "b", "c"))
    await take_prompts(session, "default", [sent], [("body",)])
    row = (await session.scalars(select(Prompt))).one()
    responses = (await session.scalars(select(Response.id).order_by(Response.position))).all()
    return row.project_id, row.id, list(responses)


async def test_labels_are_told_apart_in_the_order_sent(session: AsyncSession) -> None:
    project_id, prompt_id, (a, b, c) = await _prompt(session)
    labels = [
        ImportedLabel(prompt_id, (a, b), a, "ana"),
        ImportedLabel(prompt_id, (a, b), a, "ana", strength=3),
        ImportedLabel(prompt_id, (a, b), b, "ana"),
        ImportedLabel(prompt_id, (a, b), b, "bob"),
        ImportedLabel(prompt_id, (b, c), None),
    ]
    stored = await store_imported_labels(session, project_id, labels)
    assert [each.outcome for each in stored] == [
        Outcome.CREATED,
        Outcome.UNCHANGED,
        Outcome.CREATED,
        Outcome.CREATED,
        Outcome.CREATED,
    ]
    assert len({each.label_id for each in stored}) == 4
    again = await store_imported_labels(session, project_id, labels)
    assert {each.outcome for each in again} == {Outcome.UNCHANGED}
    assert [each.label_id for each in again] == [each.label_id for each in stored]
    assert await session.scalar(select(func.count(Label.id))) == 4
    project = (await session.scalars(select(Project))).one()
    assert project.counted_labels == 4


async def test_where_one_answer_is_wanted_another_of_the_annotator_is_a_conflict(
    session: AsyncSession,
) -> None:
    project_id, prompt_id, (a, b, _) = await _prompt(session)
    first, other = ImportedLabel(prompt_id, (a, b), a), ImportedLabel(prompt_id, (a, b), b)
    labels = [first, other, ImportedLabel(prompt_id, (a, b), b, "ben")]
    stored = await store_imported_labels(session, project_id, labels, one_answer=True)
    assert [each.outcome for each in stored] == [
        Outcome.CREATED,
        Outcome.CONFLICT,
        Outcome.CREATED,
    ]
    await store_imported_labels(session, project_id, [other])
    again = await store_imported_labels(session, project_id, [other, first], one_answer=True)
    assert {each.outcome for each in again} == {Outcome.UNCHANGED}


async def test_of_one_answer_the_database_takes_no_second_label(session: AsyncSession) -> None:
    project_id, prompt_id, (a, b, _) = await _prompt(session)
    await store_imported_labels(session, project_id, [ImportedLabel(prompt_id, (a, b), a)])
    first = (await session.scalars(select(Label))).one()
    copied = {
        column.key: getattr(first, column.key)
        for column in Label.__mapper__.column_attrs
        if column.key != "id"
    }
    async with session.begin_nested() as attempt:
        session.add(Label(**copied))
        with pytest.raises(IntegrityError, match="uq_labels_live"):
            await session.flush()
        await attempt.rollback()


async def test_a_pair_of_the_plan_is_closed_and_not_planned_twice(session: AsyncSession) -> None:
    project_id, prompt_id, (a, b, _) = await _prompt(session)
    session.add(
        Pair(
            project_id=project_id,
            prompt_id=prompt_id,
            first_response_id=a,
            second_response_id=b,
            arm="strategy",
            strategy="dissimilar",
            position=1.0,
            expected_seconds=10.0,
            labels_wanted=1,
        )
    )
    await session.flush()
    await store_imported_labels(session, project_id, [ImportedLabel(prompt_id, (a, b), b)])
    session.expire_all()
    pair = (await session.scalars(select(Pair))).one()
    assert (pair.arm, pair.imported, pair.open) == ("strategy", 1, False)
    assert (await session.scalars(select(Prompt.pairs_planned))).one() == 0


async def test_a_withdrawn_label_makes_room_for_another(session: AsyncSession) -> None:
    project_id, prompt_id, (a, b, _) = await _prompt(session)
    await store_imported_labels(session, project_id, [ImportedLabel(prompt_id, (a, b), a)])
    (await session.scalars(select(Label))).one().status = "withdrawn"
    await session.flush()
    (stored,) = await store_imported_labels(
        session, project_id, [ImportedLabel(prompt_id, (a, b), b)]
    )
    assert stored.outcome is Outcome.CREATED


async def test_a_skip_of_the_same_annotator_is_another_answer(session: AsyncSession) -> None:
    project_id, prompt_id, (a, b, _) = await _prompt(session)
    await store_imported_labels(session, project_id, [ImportedLabel(prompt_id, (a, b), None)])
    (await session.scalars(select(Label))).one().choice = "skip"
    await session.flush()
    tie = ImportedLabel(prompt_id, (a, b), None)
    (strict,) = await store_imported_labels(session, project_id, [tie], one_answer=True)
    assert strict.outcome is Outcome.CONFLICT
    (stored,) = await store_imported_labels(session, project_id, [tie])
    assert stored.outcome is Outcome.CREATED


async def test_no_labels_touch_nothing(session: AsyncSession) -> None:
    assert await store_imported_labels(session, 17, []) == []
