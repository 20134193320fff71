"""Where somebody else's server of the folder answers, by what Postgres tells of itself."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.storage.embedded.cluster import find_running
from app.storage.embedded.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    found = DataFolder.of(tmp_path)
    found.cluster.mkdir()
    found.password.write_text("a-password\n")
    return found


def tell(folder: DataFolder, *, port: int, socket: str, host: str, status: str) -> None:
    """What PostgreSQL 18 writes, line by line."""
    lines = ["11138", str(folder.cluster), "1795240458", str(port), socket, host, "  26547  5571"]
    (folder.cluster / "postmaster.pid").write_text("\n".join([*lines, f"{status:8}", ""]))


def test_a_socket_in_the_folder_is_found(folder: DataFolder) -> None:
    tell(folder, port=5432, socket=str(folder.run), host="", status="ready")
    found = find_running(folder)
    assert found is not None
    assert (found.host, found.port) == (str(folder.run), None)
    url = make_url(found.url)
    assert (url.query, url.password) == ({"host": str(folder.run)}, "a-password")


def test_a_port_of_this_machine_is_found(folder: DataFolder) -> None:
    tell(folder, port=33417, socket="", host="127.0.0.1", status="ready")
    found = find_running(folder)
    assert found is not None
    assert (found.host, found.port) == ("127.0.0.1", 33417)
    url = make_url(found.url)
    assert (url.host, url.port) == ("127.0.0.1", 33417)


@pytest.mark.parametrize("status", ["starting", "stopping"])
def test_a_server_that_takes_no_connections_is_none(folder: DataFolder, status: str) -> None:
    assert find_running(folder) is None
    tell(folder, port=5432, socket=str(folder.run), host="", status=status)
    assert find_running(folder) is None
