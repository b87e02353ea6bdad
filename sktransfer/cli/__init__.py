"""The command line: ``sktransfer compare | predict | encode``.

``main`` is what the console script calls. It imports nothing heavy, so that ``--help``
answers at once, and says so where typer is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sktransfer.exceptions import MissingExtraError
from sktransfer.packages import require_extra

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
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
    try:
        for module in ("typer", "rich"):
            require_extra(module, "cli", "The command line")
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    from sktransfer.cli.app import run

    return run(arguments)
