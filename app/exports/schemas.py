"""What the exports' endpoints take and answer."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from app.exports.aggregate import Aggregation
from app.exports.encoding import FileFormat
from app.exports.filter import Judges, Split
from app.exports.recipe import Layout
from app.exports.streaming import Compression

_MAX_SEED = 2**63 - 1
ALL_ROUNDS: Final = "all"
LATEST_ROUND: Final = "latest"


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
    labels: Annotated[
        Judges,
        Query(description="Whose labels are taken: `people`'s, `automatic` ones, or `all`."),
    ] = Judges.PEOPLE
    surplus: Annotated[
        bool, Query(description="Take surplus labels too: late ones, that were not charged.")
    ] = False
    rounds: Annotated[
        str,
        Query(
            pattern=rf"^({ALL_ROUNDS}|{LATEST_ROUND}|[1-9]\d{{0,3}}(,[1-9]\d{{0,3}}){{0,99}})$",
            description="Only pairs of these rounds of responses, as `2`, `2,3`, or `latest`. A"
            " pair belongs to the older round of its two responses.",
        ),
    ] = ALL_ROUNDS
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
                        "description": "Preference pairs for DPO and all losses of plain pairs",
                        "columns": ["prompt", "chosen", "rejected"],
                    }
                ]
            }
        }
    )

    recipes: list[RecipeView]


class LeftOut(BaseModel):
    """The labelled pairs that give no row, each counted under one reason."""

    tie: int = Field(description="No response is preferred.")
    both_bad: int = Field(description="Most labels say that both are bad.")
    no_majority: int = Field(description="As many votes for either response.")
    below_agreement: int = Field(description="Less agreement than `min_agreement`.")
    one_text: int = Field(description="Both responses say the same.")
    joined: int = Field(description="The same two texts stand under the same prompt elsewhere.")
    tools: int = Field(description="The file cannot hold their tools or tool calls.")
    circle: int = Field(description="They contradict others in a circle, and have less support.")
    other_split: int


class Preview(BaseModel):
    """What an export with the same options would hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "labelled_pairs": 120,
                "rows": 98,
                "left_out": {
                    "tie": 14, "both_bad": 6, "no_majority": 2, "below_agreement": 0,
                    "one_text": 0, "joined": 0, "tools": 0, "circle": 0, "other_split": 0,
                },
                "pending_prompts": 0,
                "first": [{"prompt": "Explain DPO.", "chosen": "…", "rejected": "…"}],
                "bytes": 81920,
                "filename": "default-dpo-all.jsonl",
            }
        }
    )  # fmt: skip

    labelled_pairs: int
    rows: int
    left_out: LeftOut
    pending_prompts: int = Field(description="Prompts left out: their group is not fixed yet.")
    first: list[dict[str, Any]] = Field(description="At most three rows.")
    bytes: int = Field(description="Of the file, before it is compressed.")
    filename: str
