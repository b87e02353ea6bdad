"""The commands together, and the way from arguments to an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
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

_GIVEN = "sktransfer.given"


class _Commands(TyperGroup):
    """Commands whose errors tell the value, and which Ctrl-C ends as shells expect."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[_GIVEN] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            value = _find_value(error.param, ctx.meta[_GIVEN])
            # Ours tell it; those of the library say "Input should be ..." alone.
            if value is not None and value not in error.message:
                error.message = f"{value!r:.80} was given. {error.message}"
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _find_value(param: Any, given: Sequence[str]) -> str | None:
    """What was given for an option that is known by its names, at last."""
    names = getattr(param, "opts", ())
    for place in reversed(range(len(given))):
        name, sign, value = given[place].partition("=")
        if name in names:
            return value if sign else "".join(given[place + 1 : place + 2])
    return None


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

        with named("the standard output"):
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


def _drop_output() -> None:
    """Let go of what the standard output does not take, or Python tries once more."""
    with suppress(OSError, ValueError):
        number = sys.stdout.fileno()
        try:
            sys.stdout.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


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
            _drop_output()
    return code if isinstance(code, int) else FAILURE if code else 0
