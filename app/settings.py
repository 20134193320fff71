"""Every setting, typed, with its unit and default, and the limits of the contract."""

import os
from pathlib import Path
from typing import Final

from platformdirs import user_data_path
from pydantic import Field, PostgresDsn, RedisDsn, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
MAX_TEXT_CHARACTERS: Final = 100_000
MAX_EXTERNAL_ID_CHARACTERS: Final = 256
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_PROMPTS_PER_REQUEST: Final = 1000
MAX_LABELS_PER_REQUEST: Final = 1000
MIN_RESPONSES: Final = 2
MAX_RESPONSES: Final = 64
MAX_PAIRS_PER_CLAIM: Final = 500
MAX_WAIT_SECONDS: Final = 30
MAX_PAGE: Final = 1000
MAX_REJECTED_LINES_TOLD: Final = 1000
MAX_SIMILAR: Final = 100
MIN_LEASE_SECONDS: Final = 10
MAX_LEASE_SECONDS: Final = 2_592_000
MAX_LABELS_PER_PAIR: Final = 9
MAX_EMBEDDING_DIMENSIONS: Final = 8192

CALLS: Final = frozenset(
    {
        "annotators", "assignments", "curve", "docs", "events", "exports", "healthz", "imports",
        "labels", "map",
        "metrics", "next-pairs", "openapi.json", "pairs", "projects", "prompts", "readyz",
        "session", "stats", "strategies",
    }
)  # fmt: skip
PAGES: Final = frozenset({"annotators", "new", "p", "projects", "sign-in", "static"})
"""With ``CALLS``, the first parts of all paths, and so of no ``root_path``."""

MAX_TABLE_BYTES: Final = 4 * 1024**3
"""The longest CSV or Parquet file that is sent to the API: it is put on the disk to be read."""

DEFAULT_PROJECT: Final = "default"
NEAR_DUPLICATE_SIMILARITY: Final = 0.95
SKIPS_UNTIL_RETIRED: Final = 3

MAX_ROUND: Final = 1000
"""The highest number of a round of responses."""

PLAN_AHEAD: Final = 4000
"""Pairs of one project that the planner keeps in the plan, waiting to be handed out."""


def default_data_dir() -> Path:
    """The user's own folder; for root, one that the unprivileged database can reach."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/annotation-budget")
    return user_data_path("annotation-budget", appauthor=False)


class Settings(BaseSettings):
    """What can be set, by environment variable (upper case) or by an option of the command line."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the embedded database, the index files and the admin key.",
    )
    database_url: PostgresDsn | None = Field(
        default=None,
        description="A PostgreSQL of your own; without it an embedded one runs in `DATA_DIR`.",
    )
    redis_url: RedisDsn | None = Field(
        default=None,
        description="A Redis for what several processes share; without it each keeps its own.",
    )
    admin_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="The key of the annotator `admin`; without it one is made on the first start.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port the API listens on.")
    root_path: str | None = Field(
        default=None,
        pattern=r"^(/[A-Za-z0-9._~-]+)+$",
        description="Path prefix under which a proxy shows the API, as in `/budget`.",
    )
    forwarded_allow_ips: str = Field(
        default="127.0.0.1",
        description="Addresses of proxies, with commas between, that may say who asked, and whether"
        " by HTTPS; `*`: any.",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Least severe level that is logged.",
    )
    log_format: str = Field(
        default="auto",
        pattern="^(auto|console|json)$",
        description="`json`, `console`, or `auto`: console on a terminal, else JSON.",
    )
    api_processes: int = Field(
        default=1, ge=1, le=64, description="API processes that `serve` runs, behind one address."
    )
    embedders: int = Field(default=1, ge=1, le=64, description="Embedders that `serve` runs.")
    database_pool_size: int = Field(
        default=10, ge=1, le=200, description="Connections an API process keeps to Postgres."
    )
    embedding_model: str | None = Field(
        default=None,
        description="Hub name or folder of an embedding model; default: all-MiniLM-L6-v2, shipped.",
    )
    embedding_device: str | None = Field(
        default=None,
        description="Torch device of the embedder (`cpu`, `cuda:0`); default: the best.",
    )
    embedding_batch_texts: int = Field(
        default=256, ge=1, le=10_000, description="Texts one embedder claims at a time, at most."
    )
    embedding_cache_megabytes: int = Field(
        default=64,
        ge=0,
        description="Vectors that an embedder keeps for texts that come again; 0: none.",
    )
    embedding_cache_seconds: int = Field(
        default=604_800,
        ge=0,
        description="How long Redis keeps a vector for a text that comes again; 0: not at all.",
    )
    rate_limit_requests_per_minute: int = Field(
        default=6_000, ge=0, description="Requests that a key may make; 0: any number."
    )
    rate_limit_failures_per_minute: int = Field(
        default=30, ge=0, description="Wrong keys that an address may send; 0: any number."
    )
    poll_seconds: float = Field(
        default=2.0, gt=0, le=60, description="Slow poll of the background behind Postgres NOTIFY."
    )
    shutdown_seconds: float = Field(
        default=10.0, gt=0, le=600, description="How long a stopping part may finish what it began."
    )

    @field_validator("root_path")
    @classmethod
    def _is_no_call(cls, root_path: str | None) -> str | None:
        """A call whose proxy has removed the prefix could not be told from the prefix."""
        if root_path is not None and root_path.split("/")[1] in CALLS | PAGES:
            raise ValueError("must not begin like a call or a page")
        return root_path
