"""The manifest of a bundle: how the dataset was made, and checksums to verify it."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

from app.exports.recipe import Need, PairRecipe
from app.exports.reliability import PairOdds
from app.exports.service import Export, Snapshot, WrittenFile
from app.storage.tables import Project

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A file of a bundle. ``written`` is None for the dataset card."""

    name: str
    split: str | None
    size: int
    sha256: str
    written: WrittenFile | None


def manifest(
    export: Export, project: Project, snapshot: Snapshot, files: list[BundledFile]
) -> dict[str, Any]:
    """The manifest. It has no time in it: the same data and query give the same bytes."""
    options = export.options
    return {
        "format": _FORMAT,
        "generator": {"annotation-budget": version("annotation-budget")},
        "project": {
            "name": project.name,
            "strategy": project.strategy,
            "seed": project.seed,
            "exploration": project.exploration,
            "labels_per_pair": project.labels_per_pair,
            "embedding": {
                "source": project.embedding_source,
                "model": project.embedding_model,
                "dimensions": project.embedding_dimensions,
            },
        },
        "recipe": {
            "name": export.recipe.name,
            "description": export.recipe.description,
            "columns": list(export.own_columns(snapshot.tools)),
        },
        "options": {
            "file": str(options.file),
            "layout": str(options.layout),
            "split": str(options.split),
            "test_fraction": options.test_fraction,
            "seed": options.seed,
            "aggregation": str(options.aggregation),
            "min_agreement": options.min_agreement,
            "labels": str(options.labels),
            "surplus": options.surplus,
            "rounds": options.rounds,
            "metadata": options.metadata,
        },
        "annotators": _reliability(snapshot.odds or snapshot.confidences),
        "pending_prompts": snapshot.pending_prompts,
        "prompts_with_tools_left_out": snapshot.tools.prompts_left_out,
        "files": [_file(export, each) for each in files],
    }


def _reliability(odds: PairOdds | None) -> dict[str, Any] | None:
    """Without the annotators' names, because datasets are passed on."""
    if odds is None:
        return None
    return {
        "count": len(odds.reliability),
        "reliability": sorted(odds.reliability.round(6).tolist()),
    }


def _file(export: Export, file: BundledFile) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": file.name, "bytes": file.size, "sha256": file.sha256}
    if file.written is not None:
        facts |= {"split": file.split, "margin": None, "counts": asdict(file.written.counts)}
        if export.with_margin and isinstance(export.recipe, PairRecipe):
            if file.written.scale.margin_is_strength:
                facts["margin"] = "mean strength of the labels"
            elif file.written.has_rewards:
                facts["margin"] = "gap of the rewards"
        if Need.MEAN_WEIGHT in export.recipe.needs:
            facts["mean_unscaled_weight"] = file.written.scale.mean_weight
        if file.written.label_noise is not None:
            facts["label_noise"] = round(file.written.label_noise, 6)
    return facts
