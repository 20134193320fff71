"""The dataset card of a bundle, as the Hugging Face Hub displays it."""

import json
from collections.abc import Sequence
from typing import Final

from app.exports.judge import Counts, total
from app.exports.manifest import MANIFEST, BundledFile
from app.exports.recipe import ColumnType
from app.exports.service import Export, Snapshot
from app.exports.tools import FoundTools
from app.preference.measurement import LEAST_TEST_LABELS, Point
from app.preference.service import Curve
from app.storage.tables import Project

CARD: Final = "README.md"
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_DTYPES: Final = {
    ColumnType.TEXT: "string",
    ColumnType.NUMBER: "float64",
    ColumnType.COUNT: "int64",
    ColumnType.FLAG: "bool",
}
_UNKNOWN: Final = """\
Not known: the project has {known} of the {needed} left/right labels on pairs drawn at random (the
exploration arm) that it takes to measure it."""
_CURVE: Final = """\
A preference model on the embeddings, trained on the first labels that the strategy asked for (or
that were made elsewhere), orders so large a share of the pairs that were drawn at random as their
annotators do ({labels} labels, on whose prompts it was not trained; 95% intervals):

| labels | accuracy |
|---|---|"""


def dataset_card(
    export: Export,
    project: Project,
    snapshot: Snapshot,
    curve: Curve,
    files: Sequence[BundledFile],
) -> str:
    """The card: front matter that names the files of each split, then a description of the data."""
    counts = total([file.written.counts for file in files if file.written is not None])
    parts = [
        _front_matter(export, snapshot.tools, files, counts.rows),
        _introduction(export, project, snapshot.tools),
        _table(files),
        _labels(counts),
        _label_efficiency(curve),
        _limits(export, project, snapshot, counts),
    ]
    return "\n".join(parts)


def _front_matter(
    export: Export, tools: FoundTools, files: Sequence[BundledFile], rows: int
) -> str:
    size = next((name for limit, name in _SIZES if rows < limit), "n>10M")
    lines = ["---", f"pretty_name: {json.dumps(f'{export.project_name}: {export.recipe.name}')}"]
    lines += ["tags:", "- preference-data", "- annotation-budget", "size_categories:", f"- {size}"]
    lines += ["configs:", "- config_name: default", "  data_files:"]
    for file in files:
        lines += [f"  - split: {file.split}", f"    path: {file.name}"]
    if tools.in_messages:
        lines += _features(export, tools)
    return "\n".join([*lines, "---", ""])


def _features(export: Export, tools: FoundTools) -> list[str]:
    """The types of the columns. A loader of JSON lines would infer them from the first rows only.

    Messages and tools are JSON, since each has other fields than the next.
    """
    lines = ["dataset_info:", "  features:"]
    for name, kind in export.columns(tools).items():
        dtype = _DTYPES.get(kind)
        lines += [f"  - name: {name}", "    list: json" if dtype is None else f"    dtype: {dtype}"]
    return lines


def _introduction(export: Export, project: Project, tools: FoundTools) -> str:
    columns = ", ".join(f"`{name}`" for name in export.own_columns(tools))
    source = "the caller's own" if project.embedding_source == "caller" else project.embedding_model
    return f"""# {project.name}: {export.recipe.name}

{export.recipe.description}. Columns: {columns}.

Pairs of responses were chosen by the strategy `{project.strategy}` (embeddings: {source or "none"};
a share of {project.exploration:g} of the prompts was drawn at random instead), and judged by
annotators. Several labels of a pair were put together by `{export.options.aggregation}`; pairs
below {export.options.min_agreement:g} of agreement, ties and `both_bad` are left out.
"""


def _table(files: Sequence[BundledFile]) -> str:
    lines = ["| split | file | rows | prompts |", "|---|---|---|---|"]
    for file in files:
        if file.written is not None:
            counts = file.written.counts
            lines.append(f"| {file.split} | `{file.name}` | {counts.rows} | {counts.prompts} |")
    return "\n".join([*lines, ""])


def _labels(counts: Counts) -> str:
    labels, preferred, votes = counts.labels, counts.preferred_pairs, counts.votes
    agreement = f"{counts.agreeing_votes / votes:.1%}" if votes else "no"
    per_row = f"{labels / preferred:.2f}" if preferred else "no"
    return f"""## Labels and agreement

{labels} labels on {counts.labelled_pairs} pairs gave {preferred} preferences: {per_row} labels \
for each.
{agreement} of the left/right labels agree with the preference of their pair; \
{counts.pairs_with_several_labels} of the pairs
have several labels, and only those say how far annotators agree. \
{counts.exploration_pairs} of the preferences
come from pairs that were drawn at random (`arm` is `exploration`): an honest sample.
"""


def _label_efficiency(curve: Curve) -> str:
    if curve.test_labels < LEAST_TEST_LABELS:
        text = _UNKNOWN.format(known=curve.test_labels, needed=LEAST_TEST_LABELS)
    elif not curve.points:
        text = curve.advice
    else:
        text = "\n".join([_CURVE.format(labels=curve.test_labels), *map(_point, curve.points)])
        text += f"\n\n{curve.advice}"
    return f"## Label efficiency\n\n{text}\n"


def _point(point: Point) -> str:
    return f"| {point.labels} | {point.accuracy:.3f} ({point.low:.3f} to {point.high:.3f}) |"


def _limits(export: Export, project: Project, snapshot: Snapshot, counts: Counts) -> str:
    return f"""## Limits

Left out: {counts.undecided_pairs} pairs without a preference \
({counts.pairs_without_majority} of them with as many votes
either way), {counts.pairs_below_agreement} below the least agreement, \
{counts.pairs_of_one_text} of one text, and
{counts.pairs_dropped_for_cycles} that closed one of {counts.cycles} cycles of preferences \
(the least supported is left out);
{snapshot.tools.prompts_left_out} prompts with tools or tool calls that these files cannot \
hold;
{snapshot.pending_prompts} prompts that were not planned yet. A prompt that is stored several \
times is judged as one:
{counts.pairs_joined} pairs were counted with another pair of the same two texts. Apart from the
exploration arm the pairs are no random
sample: `{project.strategy}` chose them. The test split is by groups of near-duplicate prompts
(seed {export.options.seed}); no group stands in both. `{MANIFEST}` has all counts, and the SHA-256
of each file.
"""
