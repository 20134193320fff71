"""`migrate` brings a filled database of an earlier version to the newest schema, and loses nothing.

What a migration has to compute anew is filled in while the service runs:
``tests/e2e/test_upgrade.py``.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

from app.annotation.verify import verify
from app.storage.backup import check_file, load
from app.storage.engine import create_engine, session_factory
from app.storage.migrate import pending_migration, upgrade
from tests.upgrade.released import FIXTURES, Row, Rows, connection, new_database, rows

CHANGED: Final[dict[str, set[str]]] = {}
"""Columns by table that a migration is meant to change or to drop. Say why."""
RENUMBERED: Final = {"prompt_embeddings": {"written_by"}, "erased_prompts": {"written_by"}}
"""What a restore numbers anew: the transactions that wrote the rows."""


def without(found: Rows, columns: dict[str, set[str]]) -> Rows:
    return {
        table: [
            {name: value for name, value in row.items() if name not in columns.get(table, ())}
            for row in all_rows
        ]
        for table, all_rows in found.items()
    }


def as_before(now: Rows, before: Rows) -> Rows:
    """The tables and columns that there were before; rows are found again by their contents."""

    def restricted(row: Row, names: set[str]) -> Row:
        return {name: value for name, value in row.items() if name in names}

    found = {}
    for table, old in before.items():
        names = set().union(*old)
        found[table] = [restricted(row, names) for row in now.get(table, [])]
    return found


def assert_same(now: Rows, before: Rows) -> None:
    for table, old in before.items():
        assert len(now[table]) == len(old), table
        assert all(row in now[table] for row in old), table


def test_the_database_of_the_release_has_everything_in_it(old_rows: Rows) -> None:
    def count(table: str, column: str) -> Counter[str]:
        return Counter(str(row[column]) for row in old_rows[table])

    assert set(count("assignments", "status")) == {"held", "answered", "lapsed", "released"}
    assert set(count("labels", "status")) == {"counted", "surplus", "skipped", "withdrawn"}
    assert set(count("labels", "choice")) == {"left", "right", "tie", "both_bad", "skip"}
    assert set(count("ledger_entries", "kind")) == {"reserve", "release", "settle", "refund"}
    assert set(count("pairs", "arm")) == {"strategy", "exploration", "imported"}
    assert count("prompts", "status")["pending"] == 3
    assert {type(row["content"]) for row in old_rows["prompts"]} == {str, list}
    assert set(count("projects", "unit")) == {"labels", "minutes", "money"}
    assert set(count("projects", "embedding_source")) == {"service", "caller"}
    assert count("annotators", "active")["False"] == 1
    assert len(old_rows["erased_prompts"]) == 1
    assert any(row["near_duplicate"] for row in old_rows["prompts"])
    assert len(old_rows["response_embeddings"]) > 100


def test_every_row_is_what_it_was(old_rows: Rows, upgraded_url: str) -> None:
    now = as_before(rows(upgraded_url), old_rows)
    assert_same(without(now, CHANGED), without(old_rows, CHANGED))


def test_what_is_stored_is_of_the_first_round(upgraded_url: str) -> None:
    now = rows(upgraded_url)
    assert {row["round"] for row in now["responses"]} == {1}
    assert {(row["latest_round"], row["next_round"]) for row in now["prompts"]} == {(1, 1)}


async def test_the_schema_is_the_newest_and_the_ledger_is_right(upgraded_url: str) -> None:
    engine = create_engine(upgraded_url, pool_size=1)
    try:
        assert await pending_migration(engine) is None
        async with session_factory(engine)() as session:
            verified = await verify(session)
    finally:
        await engine.dispose()
    assert len(verified.projects) == 5
    assert verified.differences == []


def test_a_backup_of_the_release_is_restored_and_upgraded(
    cluster: str, release: str, old_rows: Rows
) -> None:
    kept: Path = FIXTURES / release / "backup"
    check_file(kept)
    with new_database(cluster) as url:
        load(url, kept)
        upgrade(url)
        now = as_before(rows(url), old_rows)
        # The leases are those of the day on which the backup was made.
        left_out = RENUMBERED | CHANGED | {"assignments": {"expires_at"}}
        assert_same(without(now, left_out), without(old_rows, left_out))
        with connection(url) as opened:
            (readable,) = opened.execute(
                "SELECT bool_and(written_by < pg_snapshot_xmin(pg_current_snapshot()))"
                " FROM prompt_embeddings"
            ).fetchall()
        assert readable == (True,)


def test_an_upgrade_may_be_repeated(upgraded_url: str) -> None:
    before = rows(upgraded_url)
    upgrade(upgraded_url)
    assert rows(upgraded_url) == before


async def test_processes_that_upgrade_at_once_take_turns(
    cluster: str, old_url: str, old_rows: Rows
) -> None:
    name = old_url.rpartition("/")[2].partition("?")[0]
    with new_database(cluster, template=name) as url:
        await asyncio.gather(*(asyncio.to_thread(upgrade, url) for _ in range(3)))
        now = as_before(rows(url), old_rows)
    assert_same(without(now, CHANGED), without(old_rows, CHANGED))
