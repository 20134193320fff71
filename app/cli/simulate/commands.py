"""`simulate`, `embed` and `strategies`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import examples

commands = typer.Typer(rich_markup_mode="rich")


@commands.command(
    epilog=examples(
        "annotation-budget simulate labelled.jsonl.gz",
        "annotation-budget simulate labelled.jsonl --strategies auto,dissimilar --seeds 40",
        "annotation-budget simulate labelled.jsonl --json report.json --plot curve.svg",
    )
)
def simulate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Prompts with preferences, in a format that `import` reads; gzip is unpacked.",
        ),
    ],
    strategies: Annotated[
        str | None,
        typer.Option("--strategies", help="Names, with commas between [default: all]."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Splits by prompt.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the splits and draws.")] = 0,
    most_labels: Annotated[
        int | None,
        typer.Option(
            "--most-labels", min=50, help="The largest budget [default: half of the pool's pairs]."
        ),
    ] = None,
    labels_per_pair: Annotated[
        int,
        typer.Option(
            "--labels-per-pair", min=1, help="Labels a pair, as far as the file has votes."
        ),
    ] = 1,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, help="Processes [default: one a processor]."),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings",
            help="NPZ file with `prompts` and `responses`: vectors made elsewhere, or by `embed`.",
        ),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures there.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the curves: .png or .svg."),
    ] = None,
) -> None:
    """Find out which strategy would have saved labels on a file that is already labelled.

    Vectors are kept beside the file, in FILE.vectors.npz, for the next time.
    """
    from app.cli.settings import read_settings
    from app.cli.simulate.run import run_simulation

    run_simulation(
        source,
        read_settings(),
        strategies=strategies,
        seeds=seeds,
        seed=seed,
        most_labels=most_labels,
        labels_per_pair=labels_per_pair,
        processes=processes,
        embeddings=embeddings,
        json_out=json_out,
        plot=plot,
    )


@commands.command(
    epilog=examples("annotation-budget embed labelled.jsonl.gz --out vectors.npz"),
)
def embed(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Prompts with responses, as `simulate` reads them."),
    ],
    out: Annotated[Path, typer.Option("--out", help="The NPZ file to write.")],
) -> None:
    """Embed a labelled file with `EMBEDDING_MODEL`, as `simulate --embeddings` reads it."""
    from app.cli.settings import read_settings
    from app.cli.simulate.run import embed_labelled_file

    embed_labelled_file(source, out, read_settings())


@commands.command(epilog=examples("annotation-budget strategies"))
def strategies() -> None:
    """List the strategies, with one line each."""
    from app.selection.registry import STRATEGIES

    width = max(len(name) for name in STRATEGIES)
    for name, strategy in STRATEGIES.items():
        typer.echo(f"{name:<{width}}  {strategy.description}")
