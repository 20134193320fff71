"""The review of labels: the pairs that have some, and all that was said of each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from app.accounts.service import Principal, list_annotators
from app.annotation.review import service as review
from app.annotation.review.filters import LabelFilters
from app.annotation.schemas import LabelView, PairResponse, PairView
from app.errors import AppError, FieldError, InvalidInput
from app.http.paging import Page
from app.http.session import Session
from app.projects.views import own_project, project_view
from app.prompts.schemas import SimilarPrompt
from app.prompts.similar import find_similar
from app.web.markdown import SafeHtml
from app.web.render import render
from app.web.texts import Turn, asked, response_html, turns
from app.web.viewer import AdminViewer, ShownProject, Viewer

router = APIRouter(prefix="/p/{name}/labels")

Part = Literal["which", "browse", "detail"]
_Chosen = Mapping[str, str]
_PAIRS: Final = 20
_SIMILAR: Final = 8
_MOST_ANNOTATORS: Final = 500
_ANY_STATUS: Final = "any"
_FILTERS: Final = TypeAdapter(LabelFilters)
_FILTER_NAMES: Final = frozenset(LabelFilters.__dataclass_fields__)
_STRENGTHS: Final = {1: "slightly", 2: "clearly", 3: "much"}


@dataclass(frozen=True, slots=True)
class Vote:
    """A label that stands, in a word."""

    text: str
    is_majority: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A pair in the list."""

    id: str
    asked: str
    votes: list[Vote]
    said: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two responses."""

    number: int
    response: PairResponse
    html: SafeHtml
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """A pair with all that was said of it."""

    pair: PairView
    asked: str
    turns: list[Turn]
    sides: list[Side]
    tally: str | None
    """How a disagreement stands, as ``2 to 1``; None where all say the same."""
    number_of: dict[str | None, int]
    """1 or 2 for the ids of the responses."""


@router.get("")
async def labels(
    request: Request,
    project: ShownProject,
    viewer: Viewer,
    session: Session,
    part: Annotated[Part | None, Query()] = None,
) -> Response:
    """The page, or a part of it that has changed."""
    name = project.project.name
    chosen = {
        key: value for key, value in request.query_params.items() if value.strip() and key != "part"
    }
    filters = _filters(chosen)
    context: dict[str, Any] = {
        "project": project_view(project) if viewer.is_admin else own_project(project),
        "chosen": chosen,
        "filters": filters,
        "address": _address(request, chosen),
        "counts": None,
        "detail": None,
    }
    if part in (None, "which") and filters.q is None:
        context["counts"] = await review.count_labels(session, viewer, name, _uncounted(filters))
    if part in (None, "browse"):
        page = Page(cursor=chosen.get("cursor"), limit=_PAIRS)
        found = await review.list_pairs(session, viewer, name, filters, page)
        context["items"] = [_item(pair) for pair in found.pairs]
        context["next_cursor"] = found.next_cursor
    if part is None and viewer.is_admin:
        people = await list_annotators(session, after_id=0, limit=_MOST_ANNOTATORS)
        context["annotators"] = [each.annotator.name for each in people]
    if part != "which":
        shown = chosen.get("pair") or next((item.id for item in context.get("items", [])), None)
        is_plain = project.project.plain_text
        context["detail"] = await _detail(session, viewer, shown, is_plain=is_plain)
    template = "labels.html" if part is None else f"fragments/labels_{part}.html"
    context["strengths"] = _STRENGTHS
    return render(request, template, viewer=viewer, **context)


@router.get("/similar/{prompt_id}")
async def similar(
    request: Request, project: ShownProject, prompt_id: str, viewer: AdminViewer
) -> Response:
    """The prompts that ask the most similar things, or why there are none."""
    state = request.app.state
    found: list[SimilarPrompt] = []
    failure = None
    try:
        found = await find_similar(state.sessions, state.listener, prompt_id, _SIMILAR)
    except AppError as error:
        failure = error.detail
    return render(
        request,
        "fragments/labels_similar.html",
        viewer=viewer,
        project=project_view(project),
        similar=[(each, asked(each.prompt)) for each in found],
        failure=failure,
    )


def _filters(chosen: _Chosen) -> LabelFilters:
    """The filters of the address. Labels that count are shown, unless it says otherwise."""
    given = {name: chosen[name] for name in chosen if name in _FILTER_NAMES}
    if given.setdefault("status", "counted") == _ANY_STATUS:
        del given["status"]
    try:
        return _FILTERS.validate_python(given)
    except ValidationError as error:
        fields = tuple(FieldError(("query", *each["loc"]), each["msg"]) for each in error.errors())
        raise InvalidInput(f"{fields[0].loc[-1]}: {fields[0].msg}", errors=fields) from None


def _uncounted(filters: LabelFilters) -> LabelFilters:
    """The filters without those that the counts stand for."""
    kept = {name: getattr(filters, name) for name in _FILTER_NAMES}
    return LabelFilters(**kept | {"reason": None, "edited": None, "disagreement": None})


def _address(request: Request, chosen: _Chosen) -> Callable[..., str]:
    """``address(status="any", cursor=None)``: this page's, with some of its query changed."""
    path = request.scope["path"]
    root_path = request.scope.get("root_path", "")
    whole = path if path.startswith(root_path) else root_path + path

    def address(**changes: Any) -> str:
        query = {**chosen, **changes}
        encoded = urlencode({key: value for key, value in query.items() if value is not None})
        return f"{whole}?{encoded}" if encoded else str(whole)

    return address


def _standing(pair: PairView) -> list[LabelView]:
    return [label for label in pair.labels if label.status != "withdrawn"]


def _answer(label: LabelView) -> str:
    return label.preferred_response_id or label.choice


_VOTING = ("counted", "surplus")


def _majority(pair: PairView) -> tuple[str | None, str | None]:
    """The answer that more labels give than any other, and how a disagreement stands."""
    answers = Counter(_answer(label) for label in _standing(pair) if label.status in _VOTING)
    ranked = answers.most_common()
    if not ranked:
        return None, None
    tally = " to ".join(str(count) for _, count in ranked) if len(ranked) > 1 else None
    is_even = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
    return (None if is_even else ranked[0][0]), tally


def _numbers(pair: PairView) -> dict[str | None, int]:
    return {each.response_id: place for place, each in enumerate(pair.responses, 1)}


def _item(pair: PairView) -> Item:
    majority, _ = _majority(pair)
    number_of = _numbers(pair)
    standing = _standing(pair)
    votes = [
        Vote(_vote(label, number_of), is_majority=_answer(label) == majority) for label in standing
    ]
    said = [_said(label, number_of) for label in standing]
    withdrawn = len(pair.labels) - len(standing)
    if withdrawn:
        said.append(f"{withdrawn} withdrawn")
    return Item(pair.id, asked(pair.prompt), votes, " · ".join(said))


def _vote(label: LabelView, number_of: Mapping[str | None, int]) -> str:
    number = number_of.get(label.preferred_response_id)
    return str(number) if number else label.choice.replace("_", " ")


def _said(label: LabelView, number_of: Mapping[str | None, int]) -> str:
    words = [f"{label.annotator}: {_vote(label, number_of)}"]
    if label.strength:
        words[0] += f" {_STRENGTHS[label.strength]}"
    if label.edited or label.edited_rejected:
        words.append("with an edit")
    if label.rationale:
        words.append(f"“{label.rationale}”")
    return ", ".join(words)


async def _detail(
    session: Session, viewer: Principal, pair_id: str | None, *, is_plain: bool
) -> Detail | None:
    if pair_id is None:
        return None
    pair = await review.look_at_pair(session, viewer, pair_id)
    # Rendering long texts takes a while, for which other requests must not wait.
    return await asyncio.to_thread(_rendered, pair, is_plain=is_plain)


def _rendered(pair: PairView, *, is_plain: bool) -> Detail:
    majority, tally = _majority(pair)
    number_of = _numbers(pair)
    sides = []
    for each in pair.responses:
        verdict = None
        if majority in number_of:
            verdict = "preferred" if each.response_id == majority else "not preferred"
        html = response_html(each.text, each.tool_calls, is_plain=is_plain)
        sides.append(Side(number_of[each.response_id], each, html, verdict))
    return Detail(
        pair=pair,
        asked=asked(pair.prompt),
        turns=turns(pair.prompt, pair.tools, is_plain=is_plain),
        sides=sides,
        tally=tally,
        number_of=number_of,
    )
