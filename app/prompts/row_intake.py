"""Store the rows of an import: rows of one prompt are one prompt.

Everything happens in the caller's transaction, which takes locks in this order: the turn to add
responses, the project's row (if labels are to be stored), the keys of new prompts, stored prompts
against being erased, pairs (by the caller, if it stores labels), stored prompts that change, the
project's counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import AppError, Conflict
from app.projects import service as projects
from app.prompts.incoming import IncomingPrompt, Key
from app.prompts.intake import (
    ATTEMPTS,
    Details,
    Taken,
    announce,
    as_stored_prompt,
    decided_space,
)
from app.prompts.matching import EmbeddingSpace, StoredPrompt, StoredResponse
from app.prompts.merging import Draft, add_row, begin, merge_key
from app.prompts.queries import reading, writing
from app.selection.pair_grid import pair_count
from app.storage.sql import lock_prompts

take_turn_to_add = writing.take_turn_to_add


@dataclass(slots=True)
class RowIntake:
    """The outcome for each row, in the order sent, and what ``finish_rows`` must still write."""

    project_id: int
    import_id: int
    outcomes: list[Taken | AppError]
    changed: dict[int, Draft] = field(default_factory=dict)
    """What the rows change of stored prompts, by number."""

    @property
    def taken(self) -> list[Taken]:
        """The rows that are stored."""
        return [each for each in self.outcomes if isinstance(each, Taken)]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was added to a draft; its responses have their numbers once they are stored."""

    place: int
    responses: Sequence[StoredResponse]
    created: bool
    extended: bool


@dataclass(slots=True)
class _Folded:
    """The rows of one prompt, put together."""

    draft: Draft | None = None
    """None: every row was refused."""
    rows: list[_Row] = field(default_factory=list)
    refused: dict[int, AppError] = field(default_factory=dict)

    def settle(self, prompt: StoredPrompt, outcomes: dict[int, Taken | AppError]) -> None:
        """Note what became of each row, now that its prompt is stored."""
        outcomes |= self.refused
        for row in self.rows:
            outcomes[row.place] = Taken(prompt, row.responses, row.created, row.extended)


async def take_in_rows(
    session: AsyncSession,
    project_id: int,
    import_id: int,
    rows: Sequence[IncomingPrompt],
    *,
    with_labels: bool,
) -> RowIntake:
    """Merge rows with each other and with what is stored; ``finish_rows`` must follow.

    The caller has the turn to add. The outcome of a row that cannot be stored is its error, and the
    others are stored all the same. ``with_labels``: the caller is going to store labels.

    Raises:
        UnknownProject: the project has been deleted.
    """
    by_key: dict[Key, dict[int, IncomingPrompt]] = defaultdict(dict)
    for place, row in enumerate(rows):
        by_key[merge_key(row)][place] = row
    stored = await _find(session, project_id, by_key)
    if with_labels:
        await _wait_for_embedders(session, by_key, stored)
        await projects.lock_project(session, project_id)
    space = await decided_space(session, project_id, rows[0].dimensions)
    intake = RowIntake(project_id, import_id, [])
    outcomes: dict[int, Taken | AppError] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            stored = await _find(session, project_id, by_key)
        done = await _add(session, intake, by_key, stored, space, outcomes)
        by_key = {key: rows_of for key, rows_of in by_key.items() if key not in done}
        if not by_key:
            intake.outcomes = [outcomes[place] for place in range(len(rows))]
            return intake
    busy = Conflict("the prompt is being added or deleted right now; send the line again")
    outcomes |= {place: busy for rows_of in by_key.values() for place in rows_of}
    intake.outcomes = [outcomes[place] for place in range(len(rows))]
    return intake


async def finish_rows(session: AsyncSession, intake: RowIntake) -> None:
    """Update the stored prompts that the rows change, and announce and count what is new."""
    reopened = await _write_changes(session, intake) if intake.changed else []
    created = [each for each in intake.taken if each.created]
    pending = len(reopened) + sum(each.prompt.status == "pending" for each in created)
    failed = [each for each in reopened if each.status == "failed"]
    if created or reopened:
        await announce(session, intake.project_id, is_pending=pending > 0)
        await writing.count_intake(
            session,
            intake.project_id,
            prompts=len(created),
            pending=pending,
            unplanned=len(created) + sum(each.group_id is None for each in failed),
            failed=-len(failed),
        )


async def _find(
    session: AsyncSession, project_id: int, by_key: Mapping[Key, Mapping[int, IncomingPrompt]]
) -> dict[Key, StoredPrompt]:
    firsts = {key: next(iter(rows.values())) for key, rows in by_key.items()}
    named = {each.external_id: key for key, each in firsts.items() if each.external_id is not None}
    unnamed = [key for key, each in firsts.items() if each.external_id is None]
    by_id, by_content = await reading.find_mergeable(
        session,
        project_id,
        list(named),
        [(firsts[key].content, firsts[key].tools) for key in unnamed],
    )
    found = {named[name]: prompt for name, prompt in by_id.items()} | {
        unnamed[place]: prompt for place, prompt in by_content.items()
    }
    # The database tells 2 from 2.0 in a content, and a prompt's identity does not.
    left = {firsts[key].key: key for key in unnamed if key not in found}
    same = await reading.find_stored(session, project_id, left) if left else {}
    return found | {left[key]: prompt for key, prompt in same.items()}


async def _wait_for_embedders(
    session: AsyncSession,
    by_key: Mapping[Key, Mapping[int, IncomingPrompt]],
    stored: Mapping[Key, StoredPrompt],
) -> None:
    """Wait until no embedder is at work on a prompt that is about to get responses."""
    ids = [
        prompt.id
        for key, prompt in stored.items()
        if prompt.status == "pending" and _brings_text(by_key[key].values(), prompt)
    ]
    if ids:
        await reading.wait_for_prompts(session, ids)


def _brings_text(rows: Iterable[IncomingPrompt], prompt: StoredPrompt) -> bool:
    known = {each.said for each in prompt.responses}
    return any(each.said not in known for row in rows for each in row.responses)


async def _add(
    session: AsyncSession,
    intake: RowIntake,
    by_key: Mapping[Key, Mapping[int, IncomingPrompt]],
    stored: Mapping[Key, StoredPrompt],
    space: EmbeddingSpace,
    outcomes: dict[int, Taken | AppError],
) -> set[Key]:
    """Store rows; gives the keys of those prompts that are done.

    Not done are prompts that another transaction has just added or erased.
    """
    folded = {key: _fold(rows, stored.get(key), space) for key, rows in by_key.items()}
    done: set[Key] = set()
    new: dict[Key, _Folded] = {}
    changed: dict[int, Key] = {}
    for key, each in folded.items():
        if each.draft is None:
            outcomes |= each.refused
            done.add(key)
        elif each.draft.stored is None:
            new[key] = each
        elif each.draft.is_changed:
            changed[each.draft.stored.id] = key
        else:
            each.settle(each.draft.stored, outcomes)
            done.add(key)
    done |= await _insert(session, intake, new, outcomes)
    held = await reading.hold_stored(session, changed) if changed else {}
    for prompt_id, prompt in held.items():
        # Others may have added to it since it was first read.
        again = _fold(by_key[changed[prompt_id]], prompt, space)
        again.settle(prompt, outcomes)
        if again.draft is not None and again.draft.is_changed:
            intake.changed[prompt_id] = again.draft
        done.add(changed[prompt_id])
    await _insert_responses(
        session, [intake.changed[each] for each in held if each in intake.changed]
    )
    return done


def _fold(
    rows: Mapping[int, IncomingPrompt], stored: StoredPrompt | None, space: EmbeddingSpace
) -> _Folded:
    """Put the rows of one prompt together, in their order."""
    folded = _Folded()
    for place, row in rows.items():
        draft = folded.draft or begin(row, stored)
        before = len(draft.added)
        try:
            responses = add_row(draft, row, space)
        except AppError as error:
            folded.refused[place] = error
            continue
        is_first = folded.draft is None and stored is None
        extended = not is_first and len(draft.added) > before
        folded.rows.append(_Row(place, responses, created=is_first, extended=extended))
        folded.draft = draft
    return folded


async def _insert(
    session: AsyncSession,
    intake: RowIntake,
    new: Mapping[Key, _Folded],
    outcomes: dict[int, Taken | AppError],
) -> set[Key]:
    """Add new prompts; gives the keys of those that nobody else has added meanwhile."""
    prompts = {key: each.draft.as_new() for key, each in new.items() if each.draft is not None}
    if not prompts:
        return set()
    inserted = await writing.insert_prompts(
        session, intake.project_id, list(prompts.values()), intake.import_id
    )
    done = set()
    for key, prompt in prompts.items():
        draft = new[key].draft
        if prompt.key in inserted and draft is not None:
            prompt_id, response_ids = inserted[prompt.key]
            _number(draft.responses, response_ids)
            new[key].settle(as_stored_prompt(prompt, prompt_id, draft.responses), outcomes)
            done.add(key)
    return done


def _number(responses: Iterable[StoredResponse], ids: Iterable[int]) -> None:
    for response, response_id in zip(responses, ids, strict=True):
        response.id = response_id


async def _insert_responses(session: AsyncSession, drafts: Iterable[Draft]) -> None:
    """Add the new responses of stored prompts."""
    growing = [draft for draft in drafts if draft.added and draft.stored is not None]
    rows = []
    for draft in growing:
        assert draft.stored is not None
        vectors = draft.new_vectors()
        rows.append(
            writing.NewRows(
                draft.stored.id,
                len(draft.stored.responses),
                draft.new_responses(),
                np.stack(vectors) if vectors else None,
            )
        )
    for draft, ids in zip(growing, await writing.insert_responses(session, rows), strict=True):
        _number(draft.responses[-len(ids) :], ids)


async def _write_changes(session: AsyncSession, intake: RowIntake) -> list[reading.PromptState]:
    """Update stored prompts; gives what those were that have texts to embed again."""
    changed = intake.changed
    await lock_prompts(session, changed)
    metadata = {
        each: draft.metadata
        for each, draft in changed.items()
        if draft.has_new_metadata and draft.metadata is not None
    }
    if metadata:
        await writing.set_prompt_metadata(session, metadata)
    await _write_details(session, changed.values())
    with_calls = [
        prompt_id
        for prompt_id, draft in changed.items()
        if any(each.response.tool_calls for each in draft.added)
    ]
    await writing.mark_with_tools(session, with_calls)
    states = await reading.read_states(session, changed)
    extended: dict[int, writing.Extension] = {}
    reopened: list[reading.PromptState] = []
    for prompt_id, draft in changed.items():
        if draft.added:
            is_pending = not draft.new_vectors()
            state = states[prompt_id]
            status = "pending" if is_pending else state.status
            extended[prompt_id] = writing.Extension(
                status,
                pair_count(len(draft.responses)),
                max(each.response.round for each in draft.added),
            )
            if is_pending and state.status != "pending":
                reopened.append(state)
    await writing.extend_prompts(session, intake.import_id, extended)
    return reopened


async def _write_details(session: AsyncSession, drafts: Iterable[Draft]) -> None:
    """Update the scores, metadata and references of stored responses."""
    details: dict[int, Details] = {}
    references: list[int] = []
    for draft in drafts:
        known = draft.responses
        details |= {known[at].id: (known[at].score, known[at].metadata) for at in draft.updated}
        references += [known[at].id for at in draft.referenced]
    if details:
        await writing.set_response_details(session, details)
    if references:
        await writing.set_references(session, references)
