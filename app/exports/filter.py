"""Which pairs a file takes. A group of prompts is always on the same side of train and test."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

_HASH_BYTES = 8
_HASH_VALUES = 256.0**_HASH_BYTES


class Split(StrEnum):
    """The part of the data that a file holds."""

    ALL = "all"
    TRAIN = "train"
    TEST = "test"


class Judges(StrEnum):
    """Whose labels a file takes."""

    PEOPLE = "people"
    AUTOMATIC = "automatic"
    """Those that a model gave."""
    ALL = "all"

    def statuses(self, *, surplus: bool) -> tuple[str, ...]:
        """The statuses of the labels that are taken, with or without people's surplus."""
        people = ("counted", "surplus") if surplus else ("counted",)
        automatic = ("automatic",)
        return {
            Judges.PEOPLE: people,
            Judges.AUTOMATIC: automatic,
            Judges.ALL: people + automatic,
        }[self]


@dataclass(frozen=True, slots=True)
class SplitRule:
    """A group is in the test split if the hash of seed and group is below the fraction.

    The rule depends on nothing else, so no group ever changes sides, and a larger fraction only
    moves groups from train to test.
    """

    test_fraction: float
    seed: int

    def is_test(self, group_id: int) -> bool:
        """Whether the group is in the test split."""
        digest = hashlib.blake2b(f"{self.seed}:{group_id}".encode(), digest_size=_HASH_BYTES)
        return int.from_bytes(digest.digest()) < self.test_fraction * _HASH_VALUES

    def takes(self, split: Split, group_id: int) -> bool:
        """Whether a file of that split has the group."""
        return split is Split.ALL or self.is_test(group_id) is (split is Split.TEST)
