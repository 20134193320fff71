"""The losses, one paper a module. Adding one is adding a file."""

from types import MappingProxyType
from typing import Final

from app.errors import CommandFailed
from app.registry import collect
from app.training.loss import ListLoss, Loss, PairLoss
from app.training.losses.plain import TRL_LOSSES

_PAIRS: list[PairLoss] = collect(__name__, PairLoss)
_LISTS: list[ListLoss] = collect(__name__, ListLoss)
_FOUND: list[Loss] = [*_PAIRS, *_LISTS, *TRL_LOSSES]

LOSSES: Final = MappingProxyType(
    {loss.name: loss for loss in sorted(_FOUND, key=lambda loss: loss.name)}
)
"""Every loss by its name, in the order of the names."""


def find_loss(name: str) -> Loss:
    """The loss of that name.

    Raises:
        CommandFailed: there is none.
    """
    loss = LOSSES.get(name)
    if loss is None:
        raise CommandFailed(f"no loss is called {name}; there are: {', '.join(LOSSES)}")
    return loss
