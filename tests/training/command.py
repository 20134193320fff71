"""`annotation-budget` in this process, which has loaded the libraries already."""

import pytest

from app.cli.__main__ import main


def command(*arguments: object) -> int:
    """Run it; gives its exit status."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code
