"""From arguments to an exit code: what goes wrong is one line, and no traceback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from sktransfer.cli.app import INTERRUPTED, app
from sktransfer.cli.messages import fail, show_warning
from sktransfer.exceptions import SktransferError

__all__ = ["run"]

FAILURE = 1


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
