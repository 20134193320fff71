"""Databases of released versions, and what their services answered about them."""

import contextlib
import gzip
import hashlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from app.storage.engine import raw_dsn
from app.storage.programs import Programs
from tests.support.data import REPOSITORY

FIXTURES: Final = REPOSITORY / "tests" / "data" / "upgrade"
RELEASES: Final = sorted(each.name for each in FIXTURES.iterdir() if each.is_dir())
_DIGEST_BYTES: Final = 32
Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Every row of each table, as JSON, in an order of their own."""


def answers(release: str) -> dict[str, Any]:
    """What the release's service answered."""
    packed = (FIXTURES / release / "answers.json.gz").read_bytes()
    found: dict[str, Any] = json.loads(gzip.decompress(packed))
    return found


def connection(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(raw_dsn(url), autocommit=True)


@contextlib.contextmanager
def new_database(server_url: str, *, template: str | None = None) -> Iterator[str]:
    """A database of a cluster, empty or a copy of another, dropped at the end."""
    name = sql.Identifier(f"upgrade_{secrets.token_hex(4)}")
    made = sql.SQL("CREATE DATABASE {}").format(name)
    if template is not None:
        made += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with connection(server_url) as opened:
        opened.execute(made)
    url = make_url(server_url).set(database=name.as_string().strip('"'))
    yield url.render_as_string(hide_password=False)
    with connection(server_url) as opened:
        opened.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def put_in_place(release: str, url: str, folder: Path) -> None:
    """Fill an empty database with the release's, as it stands where the release has run.

    Unlike a restored backup, rows keep the numbers of the transactions that wrote them. So the
    cluster first uses up these numbers, as the cluster of the release has done.
    """
    programs, script = Programs.find(), folder / "script.sql"
    kept = FIXTURES / release / "backup"
    programs.run("pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(kept))
    single = ("--set=ON_ERROR_STOP=1", "--single-transaction")
    programs.run("psql", "--no-psqlrc", "--quiet", *single, f"--file={script}", url=url)
    with connection(url) as opened:
        is_used_up = (
            "SELECT pg_current_xact_id()::text::bigint > max(written_by::text::bigint) FROM"
            " (SELECT written_by FROM prompt_embeddings"
            " UNION ALL SELECT written_by FROM erased_prompts) AS written"
        )
        while opened.execute(is_used_up).fetchall() != [(True,)]:
            pass


def let_time_stand_still(url: str) -> None:
    """Give held assignments the lease they had when the database was filled."""
    with connection(url) as opened:
        opened.execute(
            "UPDATE assignments SET expires_at = clock_timestamp() + interval '30 days'"
            " WHERE status = 'held'"
        )


def put_index(release: str, data_dir: Path, url: str) -> None:
    """Put the release's index files into a data folder, as those of this cluster's database."""
    with connection(url) as opened:
        (cluster,) = opened.execute("SELECT system_identifier FROM pg_control_system()").fetchall()
    folder = data_dir / "index"
    folder.mkdir(parents=True)
    for packed in (FIXTURES / release).glob("*.faiss.gz"):
        content = gzip.decompress(packed.read_bytes())[:-_DIGEST_BYTES]
        kind, header, structure = content.split(b"\n", 2)
        told = json.loads(header)
        told["owner"] = f"{told['owner'].rpartition(' ')[0]} {cluster[0]}"
        written = b"\n".join([kind, json.dumps(told).encode(), structure])
        digest = hashlib.blake2b(written, digest_size=_DIGEST_BYTES).digest()
        (folder / packed.name.removesuffix(".gz")).write_bytes(written + digest)


def rows(url: str) -> Rows:
    """Everything in a database but the number of its schema."""
    found = {}
    with connection(url) as opened:
        tables = opened.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        ).fetchall()
        for (table,) in tables:
            if table != "alembic_version":
                read = sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(sql.Identifier(table))
                all_rows = [row for (row,) in opened.execute(read).fetchall()]
                found[table] = sorted(all_rows, key=lambda row: json.dumps(row, sort_keys=True))
    return found
