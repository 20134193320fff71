"""Find what the modules of a folder define: strategies, recipes and formats. Pure."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, TypeVar


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


def collect(package: str, *kinds: type[T]) -> list[T]:
    """Every object of these kinds that a module of the package defines, in the order of names.

    Adding one is therefore adding a file. Modules without one are helpers.

    Raises:
        ValueError: two of them have the same name.
    """
    found: dict[str, T] = {}
    for each in iter_modules(import_module(package).__path__):
        for value in vars(import_module(f"{package}.{each.name}")).values():
            if isinstance(value, kinds) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"{package}: two are named {value.name}")
    return sorted(found.values(), key=lambda value: value.name)
