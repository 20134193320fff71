"""The ledger has one writer."""

import re
from pathlib import Path

import app

_WRITES = re.compile(
    r"INSERT INTO ledger_entries|insert\(LedgerEntry|LedgerEntry\("
    r"|project\.(spent|reserved) *[-+]?=[^=]|\b(spent|reserved) = (projects\.)?\1|Project\.\1 [-+]"
)


def test_only_one_file_writes_entries_and_the_totals_of_projects() -> None:
    folder = Path(app.__file__).parent
    writers = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if "class LedgerEntry(Base)" not in (text := file.read_text()) and _WRITES.search(text)
    }
    assert writers == {"annotation/queries/ledger.py"}
