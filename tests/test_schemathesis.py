"""Every operation of the OpenAPI document, with inputs nobody would think of."""

import subprocess
import sys

import pytest

from tests.e2e.serving import own_environment, running_service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_LEFT_OUT = {
    "/events": "its answer never ends",
    "/prompts/import": "the tool cannot make NDJSON; tests/imports/test_imports.py tries the lines",
    "/annotators/{name}/key": "it takes the admin's key away in the middle",
}


def test_no_input_gets_a_server_error_or_an_undocumented_answer() -> None:
    with running_service(
        LOG_LEVEL="ERROR", OMP_NUM_THREADS="1", RATE_LIMIT_REQUESTS_PER_MINUTE="0"
    ) as service:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {service.key}"),
            *("--checks", ",".join(_CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "10", "--seed", "1", "--max-time", "120"),
            *("--request-timeout", "120", "--continue-on-failure", "--no-color"),
            *("--generation-database", "none", "--suppress-health-check", "all"),
            *(option for path in _LEFT_OUT for option in ("--exclude-path", path)),
        ]
        done = subprocess.run(
            command,
            env=own_environment(),
            capture_output=True,
            text=True,
            timeout=1000,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4000:]
