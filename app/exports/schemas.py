"""What the exports take and give over HTTP."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from app.exports.aggregate import Aggregation
from app.exports.compression import Compression
from app.exports.encoder import FileFormat
from app.exports.recipe import Layout
from app.exports.split import Split, SplitRule

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The query of an export."""

    file: Annotated[FileFormat, Query(description="The file format.")] = FileFormat.JSONL
    layout: Annotated[
        Layout, Query(description="Texts as strings, or as lists of chat messages.")
    ] = Layout.STANDARD
    split: Annotated[
        Split, Query(description="The part of the data; a group of prompts never changes sides.")
    ] = Split.ALL
    test_fraction: Annotated[
        float,
        Query(ge=0, le=1, allow_inf_nan=False, description="Share of the groups that is the test."),
    ] = 0.1
    seed: Annotated[
        int, Query(ge=-_MAX_SEED - 1, le=_MAX_SEED, description="Seed of the split.")
    ] = 0
    min_agreement: Annotated[
        float,
        Query(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Least share of a pair's left/right labels that agree with its row;"
            " with `dawid-skene`, the least probability of its preference.",
        ),
    ] = 0.5
    aggregation: Annotated[
        Aggregation,
        Query(
            description="How several labels of a pair become one preference: by `majority`, or"
            " weighted by each annotator's reliability, as Dawid and Skene estimate it from all"
            " labels of the project."
        ),
    ] = Aggregation.MAJORITY
    surplus: Annotated[
        bool, Query(description="Take surplus labels too: late ones, that were not charged.")
    ] = False
    metadata: Annotated[bool, Query(description="Add the columns of provenance.")] = False
    compression: Annotated[
        Compression,
        Query(
            description="`gzip` packs the file, which then ends with its checksum: one that broke"
            " off does not unpack. A bundle is packed as it is, and takes no notice of this."
        ),
    ] = Compression.NONE

    @property
    def split_rule(self) -> SplitRule:
        """Which side of train and test a group stands on."""
        return SplitRule(test_fraction=self.test_fraction, seed=self.seed)


class RecipeView(BaseModel):
    """A recipe: what it is for, and the columns of its files."""

    name: str
    description: str
    columns: list[str]


class RecipeList(BaseModel):
    """All recipes."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "recipes": [
                    {
                        "name": "dpo",
                        "description": "Preference pairs for DPO, IPO, SimPO, ORPO and CPO",
                        "columns": ["prompt", "chosen", "rejected"],
                    }
                ]
            }
        }
    )

    recipes: list[RecipeView]
