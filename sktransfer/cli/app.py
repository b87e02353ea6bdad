"""The commands and their options; what they do is in modules of their own.

typer reads signatures at run time, so annotations here stay unquoted.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sktransfer.cli.durations import parse_duration

__all__ = ["INTERRUPTED", "app"]

_HELP = """
Which transfer strategy suits your texts, and what a saved model says of new ones.

Tables are CSV, TSV, JSON lines or Parquet; "-" is the standard input or output.
"""

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Commands that Ctrl-C ends with a line, and with the code that shells expect."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from sktransfer.cli.messages import note

            note("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Panels of the help.
_DATA, _OUTPUT = "Data", "Output"

Text = Annotated[
    str,
    typer.Option(
        "--text", "-t", help="Column of texts.", metavar="COLUMN", rich_help_panel=_DATA
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, tsv, jsonl or parquet; by the file's name if not given.",
        metavar="FORMAT",
        rich_help_panel=_DATA,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="Of the input, as utf-8 or gb18030; found by looking if not given.",
        metavar="NAME",
        rich_help_panel=_DATA,
    ),
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Begin anew where an earlier run was stopped.",
        rich_help_panel=_OUTPUT,
    ),
]


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"sktransfer {version('sktransfer')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Tell the version."
        ),
    ] = False,
) -> None:
    pass


_COMPARE_EXAMPLES = """
[bold]Examples[/bold]

  sktransfer compare reviews.csv --text review --label sentiment

  sktransfer compare products.csv --source movies.csv --report out --budget 5m

  sktransfer compare reviews.jsonl --strategies tfidf,frozen,fine_tune \\
      --train-sizes 16,64,256 --folds 10

[bold]Strategies[/bold]

  majority, tfidf, nbsvm, vader, snownlp, word_vectors, word_vectors_tuned,
  frozen, frozen_64_32, partial, gradual, lora, contrastive, fine_tune;
  with a source also source_only, transferred and joint

After a crash or Ctrl-C the same command with the same --report goes on where
it was.
"""


@app.command(epilog=_COMPARE_EXAMPLES)
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
            rich_help_panel=_DATA,
        ),
    ] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            "-g",
            help="Column of what must stay together, as a review's id.",
            metavar="COLUMN",
            rich_help_panel=_DATA,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            "-s",
            help="Labelled texts of another domain.",
            metavar="FILE",
            rich_help_panel=_DATA,
        ),
    ] = None,
    source_text: Annotated[
        str | None,
        typer.Option(
            "--source-text",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=_DATA,
        ),
    ] = None,
    source_label: Annotated[
        str | None,
        typer.Option(
            "--source-label",
            help="Its column, if another.",
            metavar="COLUMN",
            rich_help_panel=_DATA,
        ),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            "-r",
            help="Folder for page, pictures, table and best model.",
            metavar="FOLDER",
            rich_help_panel=_OUTPUT,
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
        str | None,
        typer.Option("--encoder", help="Transformer: name or folder.", metavar="NAME"),
    ] = None,
    max_source: Annotated[
        int,
        typer.Option(
            "--max-source",
            min=2,
            help="Texts of the source, at most.",
            metavar="N",
            rich_help_panel=_DATA,
        ),
    ] = 500,
    max_rows: Annotated[
        int,
        typer.Option(
            "--max-rows",
            min=10,
            help="Rows, at most; drawn at random.",
            metavar="N",
            rich_help_panel=_DATA,
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
            rich_help_panel=_OUTPUT,
        ),
    ] = True,
    format: Format = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
) -> None:
    """Cross-validate transfer strategies and baselines on your labelled texts."""
    from sktransfer.cli.comparing import compare_file, read_labelled
    from sktransfer.cli.messages import note

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
        strategies=names,
        time_budget=seconds,
        train_sizes=sizes,
        cv=folds,
        n_repeats=repeats,
        scoring=scoring,
        encoder=encoder,
        max_source=max_source,
        n_jobs=jobs,
        random_state=seed,
    )


_PREDICT_EXAMPLES = """
[bold]Examples[/bold]

  sktransfer predict out/model new.csv --text review -o labelled.csv

  cat new.jsonl | sktransfer predict out/model - --format jsonl -o - | head

Every row of the input is in the output, in the same order, with the columns
"predicted" and "probability_..." added.

After a crash or Ctrl-C the same command goes on where it was.
"""


@app.command(epilog=_PREDICT_EXAMPLES)
def predict(
    model: Annotated[
        str, typer.Argument(help="Folder of a saved model.", metavar="MODEL")
    ],
    file: Annotated[str, typer.Argument(help="Texts to label.", metavar="FILE")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File to write; - is the output.",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
        ),
    ] = "-",
    text: Text = "text",
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            help="Put before the new columns' names.",
            metavar="WORD",
            rich_help_panel=_OUTPUT,
        ),
    ] = "",
    format: Format = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            help="Of the output; by its name if not given.",
            metavar="FORMAT",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
) -> None:
    """Label texts of any number with a saved model."""
    from sktransfer.cli.messages import note
    from sktransfer.cli.predicting import predict_file

    n_rows = predict_file(
        model,
        file,
        text=text,
        output=output,
        prefix=prefix,
        format=format,
        output_format=output_format,
        encoding=encoding,
        fresh=fresh,
    )
    if output != "-":
        note(f"{n_rows:,} rows are in {output}.")


_ENCODE_EXAMPLES = """
[bold]Examples[/bold]

  sktransfer encode reviews.csv --text review -o vectors.npy

  python -c "import numpy as np; print(np.load('vectors.npy', mmap_mode='r').shape)"

After a crash or Ctrl-C the same command goes on where it was.
"""


@app.command(epilog=_ENCODE_EXAMPLES)
def encode(
    file: Annotated[str, typer.Argument(help="Texts to encode.", metavar="FILE")],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File to write.",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
        ),
    ],
    text: Text = "text",
    model: Annotated[
        str,
        typer.Option("--encoder", help="Transformer: name or folder.", metavar="NAME"),
    ] = "all-MiniLM-L6-v2",
    pooling: Annotated[
        str, typer.Option("--pooling", help="auto, mean, cls or max.", metavar="NAME")
    ] = "auto",
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Scale vectors to length 1.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu or cuda.", metavar="NAME")
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype", help="auto, float32, bfloat16, float16 or int8.", metavar="NAME"
        ),
    ] = "auto",
    format: Format = None,
    encoding: Encoding = None,
) -> None:
    """Turn texts into vectors with a frozen transformer."""
    from sktransfer.cli.encoding import encode_file
    from sktransfer.cli.messages import note, stderr_console

    n_texts, width = encode_file(
        file,
        text=text,
        output=output,
        format=format,
        encoding=encoding,
        model=model,
        pooling=pooling,
        normalize=normalize,
        device=device,
        dtype=dtype,
        verbose=int(stderr_console().is_terminal),
    )
    note(f"{n_texts:,} vectors of {width} numbers are in {output}.")


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
