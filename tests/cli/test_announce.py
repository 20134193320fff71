"""What `serve` says when it runs: on a terminal, an address that signs in with one click."""

import io

import pytest

from app.cli.serve.run import _announce

ADDRESS = "http://127.0.0.1:8000"
KEY = "ab_0123456789abcdef0123456789abcdef0123456789"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", ["40", "200"])
def test_a_person_gets_an_address_to_click(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    _announce(ADDRESS, KEY)
    assert f"{ADDRESS}/sign-in#key={KEY}\n" in terminal.getvalue()


def test_a_log_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", log := io.StringIO())
    _announce(ADDRESS, KEY)
    assert KEY not in log.getvalue()
    assert f"{ADDRESS}/sign-in\n" in log.getvalue()


def test_a_key_that_is_not_kept_is_told_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    _announce(ADDRESS, None)
    assert f"{ADDRESS}/sign-in\n" in terminal.getvalue()
    assert "as set by ADMIN_KEY" in terminal.getvalue()
