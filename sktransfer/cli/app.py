"""The commands and their options, and the way from arguments to an exit code.

typer reads signatures at run time, so annotations here stay unquoted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sktransfer.cli.compare import EXAMPLES as COMPARE_EXAMPLES
from sktransfer.cli.compare import compare
from sktransfer.cli.options import OUTPUT, Encoding, Format, Fresh, Overwrite, Text
from sktransfer.cli.terminal import fail, show_warning
from sktransfer.exceptions import SktransferError
from sktransfer.packages import DEFAULT_ENCODER

__all__ = ["INTERRUPTED", "app", "run"]

_HELP = """
Which transfer strategy suits your texts, and what a saved model says of new ones.

Tables are CSV, TSV, JSON lines or Parquet; "-" is the standard input or output.
"""

INTERRUPTED = 130

FAILURE = 1


class _Commands(TyperGroup):
    """Commands that Ctrl-C ends with a line, and with the code that shells expect."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from sktransfer.cli.terminal import note

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


app.command(epilog=COMPARE_EXAMPLES)(compare)


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
            rich_help_panel=OUTPUT,
        ),
    ] = "-",
    text: Text = "text",
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            help="Put before the new columns' names.",
            metavar="WORD",
            rich_help_panel=OUTPUT,
        ),
    ] = "",
    format: Format = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            help="Of the output; by its name if not given.",
            metavar="FORMAT",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
    overwrite: Overwrite = False,
) -> None:
    """Label texts of any number with a saved model."""
    from sktransfer.cli.predict import predict_file
    from sktransfer.cli.terminal import note

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
        overwrite=overwrite,
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
            rich_help_panel=OUTPUT,
        ),
    ],
    text: Text = "text",
    model: Annotated[
        str,
        typer.Option(
            "--encoder", help="Transformer: name or ./folder.", metavar="NAME"
        ),
    ] = DEFAULT_ENCODER,
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
    overwrite: Overwrite = False,
) -> None:
    """Turn texts into vectors with a frozen transformer."""
    from sktransfer.cli.encode import encode_file
    from sktransfer.cli.terminal import note, stderr_console

    n_texts, width = encode_file(
        file,
        text=text,
        output=output,
        format=format,
        encoding=encoding,
        overwrite=overwrite,
        model=model,
        pooling=pooling,
        normalize=normalize,
        device=device,
        dtype=dtype,
        verbose=int(stderr_console().is_terminal),
    )
    note(f"{n_texts:,} vectors of {width} numbers are in {output}.")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        None takes those that the process was started with.

    Returns
    -------
    code : int
        0 for success, 1 for failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("once")
        warnings.showwarning = show_warning
        try:
            code = app(
                args=None if arguments is None else list(arguments),
                prog_name="sktransfer",
                standalone_mode=True,
            )
        except SystemExit as exit:
            code = exit.code
        except KeyboardInterrupt:  # before a command has begun
            code = INTERRUPTED
        except (SktransferError, OSError, UnicodeError) as error:
            fail(str(error) or type(error).__name__)
            code = FAILURE
    return code if isinstance(code, int) else FAILURE if code else 0
