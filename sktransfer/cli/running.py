"""From arguments to an exit code: what goes wrong is one line, and no traceback."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress

from sktransfer.cli.app import app
from sktransfer.cli.messages import fail, note, show_warning
from sktransfer.exceptions import SktransferError

__all__ = ["run"]

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


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
        except KeyboardInterrupt:
            note("Interrupted.")
            code = INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output, as `head` does, has seen enough. What Python
            # would still flush at its end goes nowhere.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else FAILURE
        except (SktransferError, OSError, UnicodeError) as error:
            fail(str(error) or type(error).__name__)
            code = FAILURE
    return code if isinstance(code, int) else FAILURE if code else 0
