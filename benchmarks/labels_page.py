"""Is the page of labels as fast with a million labels as with a thousand?

    python -m benchmarks.labels_page [--labels 1000000] [--rounds 40]

One embedded Postgres, and two projects: one with 1,000 labels, one with many. Each label has texts
of some 350 characters; a fifth of the pairs have two labels, which disagree in half of them, and a
tenth of the labels has a reason. The application answers the page in this process, to both in turn,
once for each filter. A search is timed too: it reads 10,000 labels a request. Aim: 1.5 for the
first page.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from app.accounts.service import hash_key
from app.log import configure_logging
from app.main import create_app
from app.settings import Settings
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.engine import raw_dsn
from app.storage.migrate import upgrade

KEY = "benchmark-key-of-the-admin"
_SMALL = 1_000
_AT_ONCE = 50_000
_PAGES = {
    "first page": "",
    "disagreements": "?disagreement=true",
    "with a reason": "?reason=true",
    "any state": "?status=any",
    "withdrawn (none)": "?status=withdrawn",
    "ties (none)": "?choice=tie",
    "one annotator": "?annotator=ana",
    "a search (found)": "?q=Explain",
    "a search (nothing)": "?q=nowhere+to+be+found",
}
_ADMIN = """
INSERT INTO annotators (name, role, key_hash, all_projects, active)
VALUES ('benchmark', 'admin', %s, true, true)
"""
_FILL = """
WITH made_prompts AS (
    INSERT INTO prompts (project_id, external_id, content, fingerprint, status, group_id,
        pairs_planned, pairs_total)
    SELECT id, 'p' || n, to_jsonb('Explain number ' || n || repeat(' in some detail', 8)),
        int8send(n), 'ready', n, 1, 1
    FROM projects, generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    WHERE name = %(project)s
    RETURNING id, project_id
), made_responses AS (
    INSERT INTO responses (prompt_id, position, text)
    SELECT id, side, repeat('a word and ', 30) || side FROM made_prompts, generate_series(0, 1) side
    RETURNING id, prompt_id
), made_pairs AS (
    INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, similarity,
        arm, strategy, position, expected_seconds, labels_wanted, imported)
    SELECT project_id, made_prompts.id, min(made_responses.id), max(made_responses.id), 0.5,
        'strategy', 'dissimilar', 0, 60, 1, 1
    FROM made_prompts JOIN made_responses ON made_responses.prompt_id = made_prompts.id
    GROUP BY project_id, made_prompts.id
    RETURNING *
)
INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, preferred_response_id,
    rejected_response_id, rationale, status, disputed)
SELECT project_id, prompt_id, id, who,
    CASE WHEN who = 'ana' OR id %% 10 < 5 THEN 'left' ELSE 'right' END,
    CASE WHEN who = 'ana' OR id %% 10 < 5 THEN first_response_id ELSE second_response_id END,
    CASE WHEN who = 'ana' OR id %% 10 < 5 THEN second_response_id ELSE first_response_id END,
    CASE WHEN id %% 10 = 1 THEN 'one leaves out what was asked' END, 'counted', id %% 10 = 5
FROM made_pairs, unnest(ARRAY['ana', 'ben']) AS who
WHERE who = 'ana' OR id %% 5 = 0
"""


def main() -> None:
    """Fill, ask in turn, and print a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    configure_logging("WARNING", "console")
    with tempfile.TemporaryDirectory(prefix="ab-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder) / "data") as server:
            upgrade(server.url)
            with psycopg.connect(raw_dsn(server.url), autocommit=True) as connection:
                connection.execute(_ADMIN, [hash_key(KEY)])
            asyncio.run(_ask(server.url, asked.rounds, asked.labels))


def _fill(url: str, sizes: dict[str, int]) -> None:
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        for project, labels in sizes.items():
            pairs = labels * 5 // 6
            for first in range(0, pairs, _AT_ONCE):
                last = min(first + _AT_ONCE, pairs) - 1
                connection.execute(_FILL, {"project": project, "first": first, "last": last})
        connection.execute("VACUUM ANALYZE")


async def _ask(url: str, rounds: int, labels: int) -> None:
    app = create_app(Settings(database_url=url))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", timeout=300) as client,
    ):
        (await client.post("/session", json={"key": KEY})).raise_for_status()
        sizes = {"small": _SMALL, "large": labels}
        for project in sizes:
            bearer = {"Authorization": f"Bearer {KEY}"}
            made = await client.post("/projects", json={"name": project}, headers=bearer)
            made.raise_for_status()
        _fill(url, sizes)
        print(f"{'page':<20} {'1,000':>9} {labels:>11,}   ratio")
        for page, query in _PAGES.items():
            times: dict[str, list[float]] = {"small": [], "large": []}
            for number in range(rounds + 1):
                for project, taken in times.items():
                    started = time.perf_counter()
                    answer = await client.get(
                        f"/p/{project}/labels{query}", headers={"Accept": "text/html"}
                    )
                    answer.raise_for_status()
                    if number:  # the first one fills caches
                        taken.append((time.perf_counter() - started) * 1000)
            small, large = (statistics.median(taken) for taken in times.values())
            print(f"{page:<20} {small:>6.1f} ms {large:>8.1f} ms   {large / small:.2f}", flush=True)


if __name__ == "__main__":
    main()
