"""The events that one client gets, however slowly it takes them."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
from fastapi.sse import ServerSentEvent

from app.accounts.service import Principal
from app.insights.events import EventStream
from app.insights.live import EventKind, Feed, Figures
from app.projects.schemas import Counts, LedgerView

ADMIN = Principal(1, "admin", "admin", all_projects=True)
COUNTS = Counts(
    prompts=9,
    pending_prompts=0,
    failed_prompts=0,
    open_pairs=5,
    held_assignments=1,
    labels=0,
    surplus_labels=0,
    latest_round=1,
)
LEDGER = LedgerView(unit="labels", limit=10, spent=0, reserved=1, remaining=9)
START = Figures(1, COUNTS, LEDGER, dict.fromkeys(EventKind, "0"))


def with_labels(labels: int) -> Figures:
    """Figures after so many labels."""
    marks = {**START.marks, EventKind.LABEL: str(labels), EventKind.LEDGER: str(labels)}
    return replace(START, counts=COUNTS.model_copy(update={"labels": labels}), marks=marks)


def new_feed() -> Feed:
    return Feed(START, ExitStack())


async def valid_key() -> bool:
    return True


async def rotated_key() -> bool:
    return False


async def test_a_slow_client_gets_the_newest_figures_once() -> None:
    feed = new_feed()
    events = EventStream(feed, ADMIN, valid_key, None).events()
    await anext(events)
    for labels in range(1, 1001):
        feed.publish(with_labels(labels))
    first = await anext(events)
    feed.publish(with_labels(2000))
    feed.end()

    rest = [event async for event in events]

    assert [event_and_labels(event) for event in [first, *rest]] == [
        ("label", 1000),
        ("ledger", 2000),
        ("label", 2000),
    ]


def event_and_labels(event: ServerSentEvent) -> tuple[str | None, int]:
    labels: int = event.data.counts.labels
    return event.event, labels


async def test_a_key_that_is_no_longer_valid_gets_nothing() -> None:
    feed = new_feed()
    events = EventStream(feed, ADMIN, rotated_key, None, check_seconds=0).events()
    await anext(events)
    feed.publish(with_labels(1))

    assert [event async for event in events] == []


@pytest.mark.parametrize("given", ["", "nonsense", "a.b", "a.b.c.d.e"])
async def test_an_unknown_event_id_is_ignored(given: str) -> None:
    feed = new_feed()
    feed.end()

    events = [event async for event in EventStream(feed, ADMIN, valid_key, given).events()]

    assert [event.event for event in events] == [None]
