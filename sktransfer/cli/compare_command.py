"""``sktransfer compare``: its options, and what becomes of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sktransfer.cli.durations import parse_duration
from sktransfer.cli.options import (
    DATA,
    OUTPUT,
    Encoding,
    Format,
    Fresh,
    Overwrite,
    Text,
)

__all__ = ["EXAMPLES", "compare"]

EXAMPLES = """
[bold]Examples[/bold]

  sktransfer compare reviews.csv --text review --label sentiment

  sktransfer compare products.csv --source movies.csv --report out --budget 5m

  sktransfer compare reviews.jsonl --strategies tfidf,frozen,fine_tune \\
      --train-sizes 16,64,256 --folds 10

  sktransfer compare reviews.csv --encoder all-MiniLM-L6-v2 --encoder ./mine

[bold]Strategies[/bold]

  majority, tfidf, nbsvm, vader, snownlp, word_vectors, word_vectors_tuned,
  frozen, frozen_64_32, partial, gradual, lora, contrastive, fine_tune;
  with a source also source_only, transferred and joint

After a crash or Ctrl-C the same command with the same --report goes on where
it was.
"""


def compare(
    file: Annotated[
        str, typer.Argument(help="Labelled texts of your domain.", metavar="FILE")
    ],
    text: Text = "text",
    label: Annotated[
        str,
        typer.Option(
            "--label",
            "-l",
            help="Column of labels.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            "-g",
            help="Column of what must stay together, as a review's id.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            "-s",
            help="Labelled texts of another domain.",
            metavar="FILE",
            rich_help_panel=DATA,
        ),
    ] = None,
    source_text: Annotated[
        str | None,
        typer.Option(
            "--source-text",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    source_label: Annotated[
        str | None,
        typer.Option(
            "--source-label",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=DATA,
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            "-r",
            help="Folder for page, pictures, table and best model.",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "-b",
            help="Time after which nothing new begins: 90s, 5m, 1h.",
            metavar="TIME",
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies", help="Names, with commas between them.", metavar="NAMES"
        ),
    ] = None,
    train_sizes: Annotated[
        str | None,
        typer.Option(
            "--train-sizes", help="Learning curves: numbers of texts.", metavar="SIZES"
        ),
    ] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Folds.", metavar="N")
    ] = 5,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", min=1, help="How often folds are drawn.", metavar="N"
        ),
    ] = 1,
    scoring: Annotated[
        str,
        typer.Option(
            "--scoring", help="Main metric, as scikit-learn calls it.", metavar="NAME"
        ),
    ] = "accuracy",
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            help="Transformer: name or ./folder; may be said several times. All that "
            "are on this machine if not given.",
            metavar="NAME",
        ),
    ] = None,
    max_source: Annotated[
        int,
        typer.Option(
            "--max-source",
            min=2,
            help="Texts of the source, at most.",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 500,
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows",
            min=10,
            help="Rows, at most; drawn at random.",
            metavar="N",
            rich_help_panel=DATA,
        ),
    ] = 5000,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Folds at the same time; one a core, up to four, if not given.",
            metavar="N",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of all that is drawn.", metavar="N")
    ] = 0,
    save_model: Annotated[
        bool,
        typer.Option(
            "--model/--no-model",
            help="Fit the best strategy on all texts, and save it.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    format: Format = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
    overwrite: Overwrite = False,
) -> None:
    """Cross-validate transfer strategies and baselines on your labelled texts."""
    from sktransfer.cli.comparing import compare_file, read_labelled
    from sktransfer.cli.messages import note
    from sktransfer.cli.outputs import check_report

    if report is not None:
        inputs: dict[str, str | None] = {"the table": file, "the source": source}
        for number, name in enumerate(encoder or (), start=1):
            inputs[f"encoder {number} of {len(encoder or ())}"] = name
        check_report(
            Path(report).expanduser(),
            inputs,
            model=save_model,
            fresh=fresh,
            overwrite=overwrite,
        )
    read: dict[str, Any] = {"format": format, "encoding": encoding}
    seconds = parse_duration(budget)
    names = None if strategies is None else _split(strategies)
    sizes = None if train_sizes is None else _split_sizes(train_sizes)
    table = read_labelled(file, text=text, label=label, group=group, **read)
    drawn = table.draw(max_rows, seed)
    if len(drawn.texts) < len(table.texts):
        note(
            f"{len(drawn.texts):,} of {len(table.texts):,} rows are drawn: --max-rows."
        )
    other = None
    if source is not None:
        columns = {"text": source_text or text, "label": source_label or label}
        other = read_labelled(source, prefix="source_", encoding=encoding, **columns)
    compare_file(
        drawn,
        source=other,
        report=report,
        fresh=fresh,
        best_model=save_model,
        title=f"Transfer strategies on {file}",
        overwrite=overwrite,
        strategies=names,
        time_budget=seconds,
        train_sizes=sizes,
        cv=folds,
        n_repeats=repeats,
        scoring=scoring,
        encoder="auto" if encoder in (None, ["auto"]) else encoder,
        max_source=max_source,
        n_jobs=jobs,
        random_state=seed,
    )


def _split(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]


def _split_sizes(written: str) -> list[float]:
    sizes: list[float] = []
    for part in _split(written):
        try:
            sizes.append(int(part) if part.isdigit() else float(part))
        except ValueError as error:
            raise typer.BadParameter(
                f"{part!r} is no number of texts", param_hint="--train-sizes"
            ) from error
    return sizes
