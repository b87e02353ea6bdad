"""The commands together, and the way from arguments to an exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sktransfer.cli import INTERRUPTED, compare, encode, predict
from sktransfer.cli.terminal import named, show_warning, tell

__all__ = ["app", "run"]

_HELP = """
Which transfer strategy suits your texts, and what a saved model says of new ones.

Tables are CSV, TSV, JSON lines or Parquet; "-" is the standard input or output.
"""

FAILURE = 1


class _Commands(TyperGroup):
    """Commands that Ctrl-C ends with the code that shells expect."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
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


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"sktransfer {version('sktransfer')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Tell the version."
        ),
    ] = False,
) -> None:
    pass


app.command(epilog=compare.EXAMPLES)(compare.compare)
app.command(epilog=predict.EXAMPLES)(predict.predict)
app.command(epilog=encode.EXAMPLES)(encode.encode)


def run(
    arguments: Sequence[str] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Run the command line; `sktransfer.cli.main` says what is returned.

    `is_stopped` is asked whether an error comes of a signal, and need not be told.
    """
    code: object = FAILURE
    with warnings.catch_warnings():
        warnings.simplefilter("once")
        warnings.showwarning = show_warning
        try:
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
            with named("the standard output"):
                sys.stdout.flush()
        except Exception as error:
            code = FAILURE
            if not is_stopped():
                tell(error)
    return code if isinstance(code, int) else FAILURE if code else 0
