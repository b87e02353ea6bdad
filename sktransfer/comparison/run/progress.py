"""Telling the caller how far a comparison is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sktransfer.comparison.run.schedule import Watch
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.folds import TrainSize

__all__ = ["watch_with"]


def watch_with(
    on_result: Callable[[dict[str, Any]], object] | None, n_folds: int, verbose: int
) -> Watch | None:
    """Make a watch that tells a row whenever it has moved on.

    Parameters
    ----------
    on_result : callable or None
        Given a dict, as `compare_strategies` says.
    n_folds : int
        Folds of a row.
    verbose : int
        1 writes a line for each row that is finished, to the standard error.

    Returns
    -------
    watch : callable or None
        None where nobody asks.
    """
    if on_result is None and not verbose:
        return None

    def watch(
        candidate: Candidate,
        size: TrainSize,
        outcomes: Sequence[Mapping[str, Any]],
        status: str,
    ) -> None:
        row = _describe(candidate, size, outcomes, status, n_folds)
        if on_result is not None:
            on_result(row)
        if verbose and status != "running":
            _write(row)

    return watch


def _describe(
    candidate: Candidate,
    size: TrainSize,
    outcomes: Sequence[Mapping[str, Any]],
    status: str,
    n_folds: int,
) -> dict[str, Any]:
    done = [outcome for outcome in outcomes if outcome["status"] == "done"]
    errors = [outcome["error"] for outcome in outcomes if outcome["error"]]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else float("nan")

    return {
        "strategy": candidate.name,
        "kind": candidate.kind,
        "train_size": size.n_texts,
        "status": status,
        "error": errors[0] if errors else "",
        "n_folds": len(done),
        "n_folds_planned": n_folds,
        "score": mean([outcome["metrics"]["score"] for outcome in done]),
        "fit_seconds": mean([outcome["fit_seconds"] for outcome in done]),
        "predict_seconds": mean([outcome["predict_seconds"] for outcome in done]),
    }


def _write(row: Mapping[str, Any]) -> None:
    from tqdm.auto import tqdm

    told = f"{row['strategy']}, {row['train_size']} texts: {row['status']}"
    if row["status"] == "done":
        told += f", {row['score']:.3f}, {row['fit_seconds']:.2f} s a fit"
    elif row["error"]:
        told += f", {row['error']}"
    # Beside progress bars that estimators may draw, not through them.
    tqdm.write(told, file=sys.stderr)
