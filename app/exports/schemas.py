"""What the exports take and give over HTTP."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict

from app.exports.encoder import FileFormat
from app.exports.pairs import Filter
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
            description="Least share of a pair's left/right labels that agree with its row.",
        ),
    ] = 0.5
    surplus: Annotated[
        bool, Query(description="Take surplus labels too: late ones, that were not charged.")
    ] = False
    metadata: Annotated[bool, Query(description="Add the columns of provenance.")] = False

    @property
    def filter(self) -> Filter:
        """The pairs that are asked for."""
        rule = SplitRule(test_fraction=self.test_fraction, seed=self.seed)
        return Filter(split=self.split, split_rule=rule, min_agreement=self.min_agreement)


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
