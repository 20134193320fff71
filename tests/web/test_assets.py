"""Style sheet and scripts: found by name, kept for good, and never another version's."""

import gzip
import re
from pathlib import Path

import httpx
import pytest

from app.web.assets import STATIC, address, assets


async def test_an_asset_may_be_kept_for_good(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get(address("app.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_style_sheet_is_all_parts_in_order(anonymous: httpx.AsyncClient) -> None:
    plain = await anonymous.get(address("app.css"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    parts = [path.read_text() for path in sorted((STATIC / "css").glob("*.css"))]
    assert plain.text == "\n".join(parts)
    assert gzip.decompress(assets().files["app.css"].compressed).decode() == plain.text


async def test_a_page_of_another_version_gets_the_file_but_keeps_it_not(
    anonymous: httpx.AsyncClient,
) -> None:
    older = address("js/api.js").replace(assets().version, "0123456789abcdef")
    answer = await anonymous.get(older)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "%2e%2e/assets.py", "css", ""])
async def test_nothing_else_is_served(anonymous: httpx.AsyncClient, name: str) -> None:
    answer = await anonymous.get(f"/static/{assets().version}/{name}")
    assert answer.status_code == 404


def test_scripts_import_only_scripts_that_exist() -> None:
    for path in STATIC.glob("js/**/*.js"):
        for imported in re.findall(r'(?:from|import) "(\.[^"]+)"', path.read_text()):
            assert (path.parent / imported).is_file(), f"{path.name} imports {imported}"


def test_the_sample_of_the_pages_is_that_of_the_examples() -> None:
    sample = "qafeedback-50.ndjson"
    examples = Path(__file__).parents[2] / "examples"
    assert assets().files[f"sample/{sample}"].content == (examples / sample).read_bytes()
    licence = STATIC / "sample" / "LICENSE-qafeedback"
    assert licence.read_bytes() == (examples / "LICENSE-qafeedback").read_bytes()
