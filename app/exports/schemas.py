"""What the exports' endpoints take and answer."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from app.exports.aggregate import Aggregation
from app.exports.encoding import FileFormat
from app.exports.filter import Split
from app.exports.recipe import Layout
from app.exports.streaming import Compression

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
            description="How the labels of a pair are combined: by `majority`, or weighted by each"
            " annotator's reliability, which is estimated from all labels of the project (Dawid"
            " and Skene)."
        ),
    ] = Aggregation.MAJORITY
    surplus: Annotated[
        bool, Query(description="Take surplus labels too: late ones, that were not charged.")
    ] = False
    metadata: Annotated[bool, Query(description="Add the columns of provenance.")] = False
    compression: Annotated[
        Compression,
        Query(
            description="`gzip` compresses the file, which then ends with its checksum: a file that"
            " was cut off does not unpack. A bundle is always compressed, and ignores this."
        ),
    ] = Compression.NONE


class RecipeView(BaseModel):
    """A recipe: its purpose, and the columns of its files."""

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
