"""The strategies by name. Each is a file in ``strategies/``, and adding one is adding a file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.registry import collect
from app.selection.strategy import Strategy

_FOUND = collect("app.selection.strategies", Strategy)

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {each.name: each for each in sorted(_FOUND, key=lambda strategy: strategy.rank)}
)
"""Every strategy by its name, in the order in which lists show them."""
