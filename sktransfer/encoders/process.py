"""What this process has done: whether torch may compute in it, how much it encoded."""

from __future__ import annotations

import os
import threading

import torch

from sktransfer.exceptions import ForkedProcessError

__all__ = ["count_texts", "ensure_not_forked", "n_texts_encoded"]

_counting = threading.Lock()
_n_texts = 0
_first_process: int | None = None


def ensure_not_forked() -> None:
    """Raise in a process that was forked after its parent had computed with torch.

    Its threads are not there after a fork, and the first parallel operation would wait
    for them for ever. Call it before each computation: the first call takes note of
    the process.

    Raises
    ------
    ForkedProcessError
        If an earlier call was made by the parent of this process.
    """
    global _first_process
    process = os.getpid()
    if _first_process is None:
        _first_process = process
    # With one thread there is nobody to wait for.
    elif _first_process != process and torch.get_num_threads() > 1:
        raise ForkedProcessError(
            f"Process {process} was forked from process {_first_process} after a model "
            "had run there, and torch would wait for ever for threads that the fork "
            "left behind. Start workers by 'spawn' or 'forkserver' or through joblib's "
            "default backend, fork before the first text is encoded, or call "
            "torch.set_num_threads(1) first in the worker."
        )


def n_texts_encoded() -> int:
    """Return how many texts went through a model in this process.

    Returns
    -------
    n_texts : int
        Texts that a cache answered for are not among them.
    """
    return _n_texts


def count_texts(n_texts: int) -> None:
    """Add to what `n_texts_encoded` returns.

    Parameters
    ----------
    n_texts : int
        Texts that have just gone through a model.
    """
    global _n_texts
    with _counting:
        _n_texts += n_texts
