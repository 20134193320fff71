"""`train`, `evaluate`, `logprobs` and `losses`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import DEFAULT_URL, DataDir, Key, Project, Url, examples

commands = typer.Typer(rich_markup_mode="rich")

_OWN = "Settings of some losses"
_ALL = "Settings of every training"
_AUTHORS = "default: what the authors of the loss ran, else {}"

Model = Annotated[
    str, typer.Option("--model", help="A model's folder, or its name on the Hugging Face Hub.")
]
TrainingData = Annotated[
    Path, typer.Option("--data", help="A folder that `export` wrote, or a single file of rows.")
]


def _setting(flag: str, text: str, default: str | None = None, **more: Any) -> Any:
    note = "" if default is None else f" [{_AUTHORS.format(default)}]"
    return typer.Option(flag, help=text + note, rich_help_panel=_ALL, **more)


def _own(flag: str, text: str, **more: Any) -> Any:
    return typer.Option(flag, help=text, rich_help_panel=_OWN, **more)


@commands.command(
    epilog=examples(
        "annotation-budget train dpo --data dpo-data --model my-sft-model --out my-model",
        "annotation-budget train aps --data dpo-data --model my-sft-model --out my-model --rho 0.2",
        "annotation-budget train rdo --data rdo-data --model my-sft-model --out my-model --dry-run",
    )
)
def train(
    *,
    loss: Annotated[str, typer.Argument(metavar="LOSS", help="A name of `losses`.")],
    data: TrainingData,
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="The folder for the trained model.")],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the settings and check the data; train nothing."),
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    save_every: Annotated[
        int, typer.Option("--save-every", min=0, help="Steps between checkpoints; 0: ten in all.")
    ] = 0,
    beta: Annotated[float | None, _setting("--beta", "β of the loss", "0.1", min=0)] = None,
    learning_rate: Annotated[
        float | None, _setting("--learning-rate", "Peak learning rate", "1e-6", min=0)
    ] = None,
    scheduler: Annotated[
        str | None, _setting("--scheduler", "linear, cosine, constant, …", "linear")
    ] = None,
    warmup: Annotated[
        float | None,
        _setting("--warmup", "Share of the steps with a rising learning rate", "0.1", min=0, max=1),
    ] = None,
    weight_decay: Annotated[
        float | None, _setting("--weight-decay", "Weight decay of AdamW", "0", min=0)
    ] = None,
    epochs: Annotated[
        float | None, _setting("--epochs", "Passes over the data", "1", min=0)
    ] = None,
    max_steps: Annotated[
        int | None, _setting("--max-steps", "Stop after so many optimizer steps", min=1)
    ] = None,
    batch_size: Annotated[
        int | None,
        _setting("--batch-size", "Rows an optimizer step, over all devices", "32", min=1),
    ] = None,
    device_batch_size: Annotated[
        int | None, _setting("--device-batch-size", "Rows at once on a device", "4", min=1)
    ] = None,
    max_length: Annotated[
        int | None, _setting("--max-length", "Tokens of prompt and response", "1024", min=2)
    ] = None,
    lora_rank: Annotated[
        int | None,
        _setting("--lora-rank", "Rank of LoRA adapters; 0 trains all weights", "0", min=0),
    ] = None,
    lora_alpha: Annotated[
        int | None, _setting("--lora-alpha", "α of LoRA", "twice the rank", min=0)
    ] = None,
    seed: Annotated[int | None, _setting("--seed", "Seed of order and adapters", "0")] = None,
    precision: Annotated[
        str | None,
        _setting("--precision", "auto, float32, mixed or bfloat16", "mixed on CUDA, float32 else"),
    ] = None,
    gradient_checkpointing: Annotated[
        bool, _setting("--gradient-checkpointing", "Less memory, a fifth slower")
    ] = False,
    weighted: Annotated[
        bool, _setting("--weighted", "Multiply each row's loss by its column `weight`")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="Any other argument of TRL's configuration."
        ),
    ] = None,
    rho: Annotated[float | None, _own("--rho", "aps: ρ")] = None,
    lowest_tau: Annotated[float | None, _own("--lowest-tau", "aps: least τ")] = None,
    highest_tau: Annotated[float | None, _own("--highest-tau", "aps: largest τ")] = None,
    delta: Annotated[float | None, _own("--delta", "bmc: δ, the most a token gains")] = None,
    margin_share: Annotated[
        float | None, _own("--margin-share", "dlma: what the margin is multiplied by")
    ] = None,
    margin_limit: Annotated[
        float | None, _own("--margin-limit", "dlma: where the margin is cut")
    ] = None,
    sft_weight: Annotated[
        float | None, _own("--sft-weight", "pro: weight of the supervised term")
    ] = None,
    highest_epsilon: Annotated[
        float | None, _own("--highest-epsilon", "robust: the most noise of a row")
    ] = None,
    alpha: Annotated[float | None, _own("--alpha", "selm: α, how optimistic")] = None,
    gamma: Annotated[float | None, _own("--gamma", "spo: γ, weight of the degrees")] = None,
    degrees: Annotated[
        int | None, _own("--degrees", "spo: K, versions of a response", min=2, max=20)
    ] = None,
    nu: Annotated[float | None, _own("--nu", "ties: ν, how common ties are")] = None,
) -> None:
    """Train a model on an exported dataset, by a loss of the papers around REAL.

    The same command again resumes where it was interrupted. With several devices, put
    `accelerate launch -m app.cli` in place of `annotation-budget`.
    """
    from app.cli.training.run import run_training

    given = {
        "beta": beta,
        "learning_rate": learning_rate,
        "scheduler": scheduler,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "epochs": epochs,
        "max_steps": max_steps,
        "batch_size": batch_size,
        "device_batch_size": device_batch_size,
        "max_length": max_length,
        "lora_rank": lora_rank,
        "lora_alpha": lora_alpha,
        "seed": seed,
        "precision": precision,
        "gradient_checkpointing": gradient_checkpointing or None,
        "weighted": weighted or None,
    }
    own = {
        "rho": rho,
        "lowest_tau": lowest_tau,
        "highest_tau": highest_tau,
        "delta": delta,
        "margin_share": margin_share,
        "margin_limit": margin_limit,
        "sft_weight": sft_weight,
        "highest_epsilon": highest_epsilon,
        "alpha": alpha,
        "gamma": gamma,
        "degrees": degrees,
        "nu": nu,
    }
    run_training(
        loss,
        data,
        model,
        out,
        given={name: value for name, value in given.items() if value is not None},
        own={name: value for name, value in own.items() if value is not None},
        options=option or [],
        device=device,
        save_every=save_every,
        dry_run=dry_run,
    )


@commands.command(
    epilog=examples(
        "annotation-budget evaluate --model my-model --reference my-sft-model --data dpo-data",
        "annotation-budget evaluate --model my-model --reference my-sft-model --data dpo-data "
        "--reward-model my-reward-model --json figures.json",
    )
)
def evaluate(
    *,
    model: Model,
    reference: Annotated[
        str, typer.Option("--reference", help="The model that the training began from.")
    ],
    data: TrainingData,
    split: Annotated[str, typer.Option("--split", help="test or train.")] = "test",
    beta: Annotated[float, typer.Option("--beta", min=0, help="β of the rewards.")] = 0.1,
    max_length: Annotated[
        int, typer.Option("--max-length", min=2, help="Tokens of prompt and response.")
    ] = 1024,
    reward_model: Annotated[
        str | None,
        typer.Option("--reward-model", help="Judge answers of both models by this reward model."),
    ] = None,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", min=1, help="The most tokens of an answer.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Of the answers; 0: the likeliest token.")
    ] = 0.0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most prompts to answer.")] = 500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of answers and intervals.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures there.")
    ] = None,
) -> None:
    """Compare a trained model with its reference on held-out pairs, with 95% intervals."""
    from app.cli.training.run import run_evaluation

    run_evaluation(
        model,
        reference,
        data,
        split=split,
        beta=beta,
        max_length=max_length,
        reward_model=reward_model,
        new_tokens=new_tokens,
        temperature=temperature,
        limit=limit,
        seed=seed,
        device=device,
        json_out=json_out,
    )


@commands.command(
    epilog=examples(
        "annotation-budget logprobs --model my-sft-model --project helpful-v1",
        "annotation-budget logprobs --model my-sft-model --about helpful",
        "annotation-budget logprobs --model my-sft-model "
        "--good 'Answer politely. {}' --bad 'Answer rudely. {}'",
    )
)
def logprobs(
    *,
    model: Model,
    project: Project = "default",
    about: Annotated[
        str,
        typer.Option("--about", help="The authors' two prompts on being `harmless` or `helpful`."),
    ] = "harmless",
    good: Annotated[
        str | None,
        typer.Option(
            "--good", help="The text before a response that asks for a good one; {} is the prompt."
        ),
    ] = None,
    bad: Annotated[
        str | None, typer.Option("--bad", help="The same, asking for a bad response.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Score responses again that have their numbers.")
    ] = False,
    label: Annotated[
        bool,
        typer.Option(
            "--label", help="Label each prompt automatically: its best response above its worst."
        ),
    ] = False,
    max_length: Annotated[
        int, typer.Option("--max-length", min=2, help="Leave out what has more tokens.")
    ] = 2048,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Give each response its log-probabilities under a good and a bad prompt, for DLMA.

    They are stored in the metadata of the responses, where the recipe `contrastive` reads them. The
    same command again goes on where it stopped.
    """
    from app.cli.training.logprobs import run_logprobs
    from app.cli.transfer.commands import open_service

    with open_service(url, admin_key, data_dir) as client:
        run_logprobs(
            client,
            project,
            model,
            about=about,
            good=good,
            bad=bad,
            again=again,
            label=label,
            max_length=max_length,
            device=device,
        )


@commands.command(epilog=examples("annotation-budget losses"))
def losses() -> None:
    """List the losses of `train`, with one line each."""
    from app.cli.training.run import print_losses

    print_losses()
