"""The command line: ``sktransfer compare | predict | encode``.

``main`` is what the console script calls. Nothing that takes time is imported before
Ctrl-C has a meaning, and where typer is missing that is said.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = ["INTERRUPTED", "TERMINATED", "main"]

INTERRUPTED, TERMINATED = 130, 143

# Seconds that putting things in order may take after Ctrl-C.
_PATIENCE = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        None takes those that the process was started with; then this is the whole
        process, and its signals and streams are the command line's.

    Returns
    -------
    code : int
        0 for success, 1 for failure, 2 for wrong usage, 130 after Ctrl-C, 143 after
        SIGTERM.
    """
    stop = _Stop()
    try:
        if arguments is None:
            stop.heed_signals()
            _fill_streams()
        code = _run(arguments, stop)
    except KeyboardInterrupt:  # before a command has begun
        code = INTERRUPTED
    if stop.code or code == INTERRUPTED:
        sys.stderr.write("Interrupted.\n")
    return stop.code or code


def _run(arguments: Sequence[str] | None, stop: _Stop) -> int:
    with warnings.catch_warnings():
        # Whatever libraries think of one another, and even with -W error.
        warnings.simplefilter("ignore")
        try:
            from sktransfer.packages import require_extra

            for module in ("typer", "rich"):
                require_extra(module, "cli", "The command line")
            from sktransfer.cli.app import run
        except Exception as error:
            # An extra may be missing, or the memory too small for the libraries.
            told = error if isinstance(error, ImportError) else repr(error)
            if not stop.code:
                sys.stderr.write(f"{told!s:.500}\n")
            return 1
    return run(arguments, lambda: bool(stop.code))


class _Stop:
    """Turns Ctrl-C and SIGTERM into one exception and one exit code.

    The first one lets the command put things in order; a second one, or too long a
    time, ends the process there and then. `code` is 0 before.
    """

    def __init__(self) -> None:
        self.code = 0
        self._was_swallowed = False

    def heed_signals(self) -> None:
        """Take the signals over, except those that the caller wants ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        if self.code and not self._was_swallowed:
            os._exit(self.code)
        if not self.code:
            self.code = INTERRUPTED if number == signal.SIGINT else TERMINATED
            # Not threading's, whose locks the interrupted code may hold.
            _thread.start_new_thread(self._lose_patience, ())
            sys.unraisablehook = self._raise_again
            threading.excepthook = lambda _: None
        self._was_swallowed = False
        raise KeyboardInterrupt

    def _raise_again(self, ignored: Any) -> None:
        """Python has told of an exception that nobody can catch, as in ``__del__``."""
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            # Not from within the hook, which would swallow it, too.
            _thread.start_new_thread(self._interrupt_again, ())

    def _interrupt_again(self) -> None:
        time.sleep(0.01)
        self._was_swallowed = True
        _thread.interrupt_main()

    def _lose_patience(self) -> None:
        time.sleep(_PATIENCE)
        os._exit(self.code)


def _fill_streams() -> None:
    """Give streams that the caller has closed something that answers by an error.

    Otherwise the next file that is opened gets the number of the stream, and what is
    printed would be written to it. Nobody reads what goes to the standard error.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            flags = os.O_RDONLY if name == "stdout" else os.O_WRONLY
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if stream.errors == "strict":
            # A label that the terminal has no characters for is shown by numbers.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
