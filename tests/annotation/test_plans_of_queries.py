"""With 100,000 open pairs, everything that annotators do finds its rows through an index."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.accounts.service import Principal
from app.annotation import service
from app.annotation.claim import ClaimRequest, claim_pairs
from app.annotation.queries import renaming
from app.annotation.queries.claim import Search, read_strategy_outlook
from app.annotation.queries.review import SEARCHED_LABELS
from app.annotation.review import service as review
from app.annotation.review.filters import LabelFilters
from app.annotation.schemas import NewLabel
from app.annotation.settle import settle_labels
from app.annotation.undo import withdraw_label
from app.http.paging import Page
from app.projects import service as projects
from app.storage.arm import Arm
from app.storage.engine import create_engine, raw_dsn, session_factory
from app.storage.ids import IdKind, encode
from app.storage.migrate import upgrade
from tests.annotation.plans import Asked, measured, nodes, plan_of, recorded, rows_visited
from tests.support.indexes import indexes as used_indexes

ADMIN = Principal(1, "annotator-1", "admin", all_projects=True)
NEW = Principal(2, "annotator-2", "annotator", all_projects=True)
LABELLER = Principal(3, "annotator-3", "annotator", all_projects=True)
BIG_TABLES = {"pairs", "assignments", "labels", "ledger_entries", "prompts", "responses"}
PROJECT = "crowded"

# Numbers below 20,000 are pairs that have their two labels, of annotators 4 and 5. The 100,000
# above are open; of the first 5,000 of them, annotator 3 has given the one label they have.
# Annotators from 100 on hold a pair each.
_A_CROWDED_PROJECT = """
SET session_replication_role = replica;
INSERT INTO annotators (id, name, role, key_hash, all_projects, active)
SELECT n, 'annotator-' || n, CASE n WHEN 1 THEN 'admin' ELSE 'annotator' END,
    n::text::bytea, true, true
FROM generate_series(1, 2100) n;
UPDATE projects SET name = 'crowded', labels_per_pair = 2, budget_limit = 1000000, spent = 45000,
    reserved = 2000, counted_labels = 45000, exploration = 0.1;
INSERT INTO prompts (id, project_id, content, fingerprint, status, group_id, exploration,
    near_duplicate, order_key, pairs_planned, pairs_total)
SELECT n, (SELECT id FROM projects), '"?"', n::text::bytea, 'ready', n, false, false, 0, 1, 1
FROM generate_series(1, 122000) n;
INSERT INTO responses (id, prompt_id, position, text)
SELECT n * 2 + place, n, place, 'an answer'
FROM generate_series(1, 122000) n, generate_series(0, 1) place;
INSERT INTO pairs (id, project_id, prompt_id, first_response_id, second_response_id, arm, strategy,
    propensity, position, expected_seconds, labels_wanted, counted, held, handed_out)
SELECT n, (SELECT id FROM projects), n, n * 2, n * 2 + 1,
    CASE WHEN n % 10 = 0 THEN 'exploration' ELSE 'strategy' END, 'dissimilar', 1, n, 60, 2,
    CASE WHEN n <= 20000 THEN 2 WHEN n <= 25000 THEN 1 ELSE 0 END, (n > 120000)::int,
    n <= 25000 OR n > 120000
FROM generate_series(1, 122000) n;
INSERT INTO assignments (id, project_id, pair_id, annotator_id, swapped, status, lease_seconds,
    expires_at, reserved)
SELECT n * 2 + side, (SELECT id FROM projects), n, CASE WHEN n <= 20000 THEN 4 + side ELSE 3 END,
    false, 'answered', 600, now() - interval '1 hour', 1
FROM generate_series(1, 25000) n, generate_series(0, 1) side WHERE n <= 20000 OR side = 0;
INSERT INTO assignments (id, project_id, pair_id, annotator_id, swapped, status, lease_seconds,
    expires_at, reserved)
SELECT n + 100000, (SELECT id FROM projects), n + 120000, n + 100, false, 'held', 600,
    now() + interval '1 hour' + make_interval(secs => n), 1
FROM generate_series(1, 2000) n;
INSERT INTO labels (id, project_id, prompt_id, pair_id, assignment_id, annotator, choice,
    preferred_response_id, rejected_response_id, status, cost)
SELECT id, project_id, pair_id, pair_id, id, 'annotator-' || annotator_id, 'left', pair_id * 2,
    pair_id * 2 + 1, 'counted', 1
FROM assignments WHERE status = 'answered';
SELECT setval(pg_get_serial_sequence(name, 'id'), 1000000)
FROM unnest(ARRAY['assignments', 'labels', 'pairs', 'prompts', 'responses']) name;
SET session_replication_role = DEFAULT;
"""


@pytest.fixture(scope="module")
def crowded_url(postgres_url: str) -> Iterator[str]:
    """A database of its own, so that no other test plans with these tables' statistics."""
    name = f"crowded_{secrets.token_hex(4)}"
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    server = raw_dsn(postgres_url)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET random_page_cost = 1.1").format(sql.Identifier(name))
        )
    upgrade(url)
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        connection.execute(_A_CROWDED_PROJECT)
        # The whole tables as the sample, and a disk without a head: the same plans every time.
        connection.execute("SET default_statistics_target = 1000")
        connection.execute("VACUUM ANALYZE")
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def engine(crowded_url: str) -> AsyncIterator[AsyncEngine]:
    made = create_engine(crowded_url, pool_size=1)
    yield made
    await made.dispose()


@pytest.fixture
def connection(crowded_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(raw_dsn(crowded_url), autocommit=True) as opened:
        yield opened


Work = Callable[[AsyncSession], Awaitable[object]]


async def _asked(engine: AsyncEngine, *works: Work) -> list[Asked]:
    """What these ask of the database; nothing of it stays."""
    sessions: async_sessionmaker[AsyncSession] = session_factory(engine)
    async with recorded(engine) as asked, sessions() as session:
        for work in works:
            await work(session)
        await session.rollback()
    return asked


def _label(assignment_id: int, choice: str = "left") -> NewLabel:
    return NewLabel.model_validate(
        {"assignment_id": encode(IdKind.ASSIGNMENT, assignment_id), "choice": choice}
    )


def _claim(principal: Principal, budget: int = 3) -> Work:
    request = ClaimRequest(principal, PROJECT, budget)
    return lambda session: claim_pairs(session, request)


def _holder(number: int) -> Principal:
    """Somebody who holds the assignment 100,000 + number."""
    return Principal(100 + number, f"annotator-{100 + number}", "annotator", all_projects=True)


async def _let_lapse(session: AsyncSession) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql(
        "UPDATE assignments SET expires_at = now() - interval '1 hour' WHERE id = 100001"
    )


async def _spend_everything(session: AsyncSession) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql("UPDATE projects SET budget_limit = spent + reserved")


async def _look_at_the_strategy(session: AsyncSession) -> None:
    project = await projects.find_project(session, PROJECT)
    search = Search(project.id, NEW.id, NEW.name, Arm.STRATEGY, 100.0, 3, except_ids=[25001])
    await read_strategy_outlook(session, project, search)


def _list(principal: Principal, page: Page | None = None, **filters: Any) -> Work:
    return lambda session: review.list_labels(
        session,
        principal,
        PROJECT,
        LabelFilters(**filters),
        page or Page(limit=50),
        is_newest_first=page is None,
        with_texts=True,
    )


def _pairs(**filters: Any) -> Work:
    return lambda session: review.list_pairs(
        session, ADMIN, PROJECT, LabelFilters(**filters), Page(limit=20)
    )


def _count(**filters: Any) -> Work:
    return lambda session: review.count_labels(session, ADMIN, PROJECT, LabelFilters(**filters))


@pytest.mark.parametrize(
    ("works", "indexes"),
    [
        pytest.param(
            [_claim(NEW)],
            {"ix_pairs_open", "ix_assignments_held", "ix_assignments_lease"},
            id="a claim",
        ),
        pytest.param([_let_lapse, _claim(NEW)], {"ix_assignments_lease", "pk_pairs"}, id="a lapse"),
        pytest.param(
            [_spend_everything, _claim(NEW)],
            {"ix_prompts_plannable", "ix_pairs_open"},
            id="a claim that finds nothing",
        ),
        pytest.param(
            [_look_at_the_strategy],
            {"ix_prompts_plannable", "ix_pairs_open"},
            id="whether exploration waits for the strategy",
        ),
        pytest.param(
            [lambda session: settle_labels(session, _holder(7), [_label(100007)])],
            {"pk_assignments", "pk_pairs", "uq_labels_live"},
            id="a label",
        ),
        pytest.param(
            [
                _let_lapse,
                _claim(NEW),
                lambda session: settle_labels(session, _holder(1), [_label(100001)]),
            ],
            {"pk_assignments", "ix_assignments_lease"},
            id="a late label",
        ),
        pytest.param(
            [lambda session: service.give_back(session, _holder(7), 100007)],
            {"pk_assignments", "pk_pairs"},
            id="a pair given back",
        ),
        pytest.param(
            [lambda session: withdraw_label(session, LABELLER, 40002)],
            {"pk_labels", "pk_pairs", "ix_assignments_lease"},
            id="an undo",
        ),
        pytest.param(
            [_list(ADMIN, Page(Page.cursor_after(30000)))], {"ix_labels_listing"}, id="all labels"
        ),
        pytest.param(
            [_list(LABELLER, Page(Page.cursor_after(42000)))],
            {"ix_labels_annotator"},
            id="one annotator's labels",
        ),
        pytest.param(
            [_list(ADMIN), _pairs(status="counted")],
            {"ix_labels_listing", "ix_labels_pair"},
            id="the newest labels",
        ),
        pytest.param([_pairs(disagreement=True)], {"ix_labels_disputed"}, id="disagreements"),
        pytest.param([_list(ADMIN, reason=True)], {"ix_labels_reason"}, id="labels with a reason"),
        pytest.param([_list(ADMIN, edited=True)], {"ix_labels_edited"}, id="labels with an edit"),
        pytest.param([_list(ADMIN, choice="tie")], {"ix_labels_undecided"}, id="ties"),
        pytest.param(
            [_list(ADMIN, status="withdrawn")], {"ix_labels_uncounted"}, id="withdrawn labels"
        ),
        pytest.param([_list(ADMIN, q="not there")], {"ix_labels_listing"}, id="a search"),
        pytest.param(
            [_count()],
            {"ix_labels_disputed", "ix_labels_reason", "ix_labels_edited"},
            id="counts",
        ),
        pytest.param(
            [lambda session: projects.get_project(session, PROJECT)],
            {"ix_assignments_lease"},
            id="a project",
        ),
    ],
)
async def test_no_table_is_read_from_end_to_end(
    engine: AsyncEngine, connection: psycopg.Connection, works: list[Work], indexes: set[str]
) -> None:
    used = set()
    for asked in await _asked(engine, *works):
        if asked.statement.startswith("UPDATE assignments SET expires_at = now()"):
            continue
        plan = plan_of(connection, asked)
        for node in nodes(plan):
            if node["Node Type"] == "Seq Scan":
                assert node["Relation Name"] not in BIG_TABLES, asked.statement
            used.add(node.get("Index Name"))
    assert indexes <= used


async def test_a_search_looks_at_a_bounded_number_of_labels(
    engine: AsyncEngine, connection: psycopg.Connection
) -> None:
    asked = await _asked(engine, _list(ADMIN, q="not there"))
    looked = [each for each in asked if "ILIKE" in each.statement.upper()]
    assert looked
    for each in looked:
        # Parallel workers may read them once each.
        assert rows_visited(measured(connection, each), "labels") <= 3 * SEARCHED_LABELS


async def test_a_new_name_finds_its_labels_by_index(engine: AsyncEngine) -> None:
    names = {"name": "annotator-2", "new_name": "another"}
    async with session_factory(engine)() as session:
        for query in (renaming.LOCK_PROJECTS, renaming.HAS_LABELS, renaming.RENAME_LABELS):
            parameters = {name: names[name] for name in names if f":{name}" in query.text}
            assert "ix_labels_annotator" in await used_indexes(session, query, parameters)


async def _first_open(engine: AsyncEngine, principal: Principal) -> Asked:
    asked = await _asked(engine, _claim(principal, 1))
    (question,) = [each for each in asked if "FOR UPDATE SKIP LOCKED" in each.statement]
    return question


async def test_a_claim_looks_at_as_many_pairs_as_it_hands_out(
    engine: AsyncEngine, connection: psycopg.Connection
) -> None:
    plan = measured(connection, await _first_open(engine, NEW))
    assert rows_visited(plan, "pairs") == 1


@pytest.mark.parametrize("principal", [NEW, LABELLER], ids=["new", "far ahead"])
async def test_a_claim_asks_pair_by_pair_what_its_annotator_has_done(
    engine: AsyncEngine, connection: psycopg.Connection, principal: Principal
) -> None:
    # Joined with all that somebody has done, the cost would grow with what everybody has.
    asked = await _first_open(engine, principal)
    for plan in (measured(connection, asked), plan_of(connection, asked)):
        own = [node for node in nodes(plan) if node.get("Alias") in ("own", "judged")]
        assert len(own) == 2
        for node in own:
            assert "(pair_id = pairs.id)" in node["Index Cond"]


async def test_a_claim_passes_over_what_its_annotator_has_judged_by_index_alone(
    engine: AsyncEngine, connection: psycopg.Connection
) -> None:
    # A bound, and no boast: whoever works far ahead of all others pays for it, row by row.
    plan = measured(connection, await _first_open(engine, LABELLER))
    judged_and_open = 4500
    assert rows_visited(plan, "pairs") == judged_and_open + 1
    assert rows_visited(plan, "labels") + rows_visited(plan, "assignments") <= judged_and_open + 1


async def test_a_claim_looks_at_no_lease_that_is_not_over(
    engine: AsyncEngine, connection: psycopg.Connection
) -> None:
    # 2,000 are held. A time that may change from row to row would be compared with each of them.
    asked = await _asked(engine, _claim(NEW, 1))
    (standing,) = [each for each in asked if "clock_timestamp" in each.statement.split("INSERT")[0]]
    assert rows_visited(measured(connection, standing), "assignments") == 0


async def test_a_claim_on_a_spent_budget_does_not_search_the_plan(
    engine: AsyncEngine, connection: psycopg.Connection
) -> None:
    asked = await _asked(engine, _spend_everything, _claim(NEW))
    for each in asked:
        if each.statement.lstrip().startswith("SELECT"):
            assert rows_visited(measured(connection, each), "pairs") <= 2
