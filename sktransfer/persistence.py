"""Estimators to folders and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from numbers import Real
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktransfer._compat import BaseSearchCV
from sktransfer.bundles.card import write_card
from sktransfer.bundles.folders import read_bundle, write_bundle
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import (
    Rule,
    check_parameters,
    exactly,
    instance,
    on_disk,
    show,
)

__all__ = ["CONFIDENCE", "load", "save"]

# Which file of a model's folder says how often labels of each confidence are right.
CONFIDENCE = "confidence.json"


def _are_scores(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(score, Real)
        for name, score in value.items()
    )


def _is_json(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_RULES = {
    "scores": exactly(None) | Rule(_are_scores, "a dict of names to numbers"),
    "description": exactly(None) | instance(str, "a str"),
    "confidence": exactly(None) | Rule(_is_json, "what ConfidenceTable.to_dict gives"),
}


def save(
    estimator: Any,
    folder: str | os.PathLike[str],
    *,
    scores: dict[str, float] | None = None,
    description: str | None = None,
    confidence: Mapping[str, Any] | None = None,
) -> None:
    """Write a fitted estimator to a folder, in place of an older one once it is whole.

    The folder holds JSON, tensors in the safetensors format, parts of scikit-learn in
    the format of skops, and a model card, ``README.md``; no pickle. Pretrained weights
    are not copied: of an encoder the folder holds what was learnt, and the name and
    digest of what it was learnt from.

    Parameters
    ----------
    estimator : estimator
        Fitted: one of this package, or one of scikit-learn that may contain some, such
        as a Pipeline. Of a search the best estimator is saved, and the card tells its
        score; a search within another estimator is saved as it is.
    folder : str or os.PathLike
        New, empty, or a model saved earlier.
    scores : dict of str to float or None, default=None
        What you measured, for the card, such as ``{"accuracy on the test set": 0.87}``.
    description : str or None, default=None
        What the model is for, for the card.
    confidence : dict or None, default=None
        How often labels of each confidence are right, so that ``sktransfer predict
        --abstain`` can leave out those that are too uncertain: what the method
        ``to_dict`` of :class:`~sktransfer.statistics.ConfidenceTable` returns.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ModelFolderError
        If a part of it could only be pickled, such as a function or a tree, or would
        not come back as it is, or if the folder holds something else or is the current
        one.

    See Also
    --------
    load : The way back.

    Notes
    -----
    What can be made again is left out: callbacks, the model that a classifier was
    started from, and the `memory` of a pipeline. Word vectors that are no package's are
    copied with all their numbers.

    Examples
    --------
    >>> import tempfile
    >>> from sktransfer import TransferSentimentClassifier, load_mini_reviews
    >>> from sktransfer import load, save
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> classifier = TransferSentimentClassifier(random_state=0).fit(texts, labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(classifier, folder)
    ...     load(folder).predict(["What a lovely film!"])
    array([1])
    """
    check_parameters(
        {"description": description, "scores": scores, "confidence": confidence}, _RULES
    )
    if not isinstance(estimator, BaseEstimator):
        raise InvalidParameterError(
            f"estimator={show(estimator)} is of the type "
            f"{type(estimator).__qualname__}, but a fitted estimator "
            "of sktransfer or scikit-learn is expected."
        )
    check_is_fitted(estimator)
    best = estimator
    if isinstance(estimator, BaseSearchCV):
        if not hasattr(estimator, "best_estimator_"):
            raise InvalidParameterError(
                "the search was run with refit=False, so it holds no fitted estimator: "
                "run it with refit=True, or fit and save the best one yourself."
            )
        best = estimator.best_estimator_
        # A search whose refit is a function of its own has no best score.
        if hasattr(estimator, "best_score_"):
            found = {"mean in the search": float(estimator.best_score_)}
            scores = found | (scores or {})
    beside = {} if confidence is None else {CONFIDENCE: dict(confidence)}
    with on_disk("folder", folder):
        write_bundle(folder, best, write_card(best, scores or {}, description), beside)


def load(folder: str | os.PathLike[str]) -> Any:
    """Estimator that `save` wrote to a folder.

    Every file is checked against its digest first. Nothing in the folder can run code:
    only estimators of this package and of scikit-learn are made, from plain values.

    Parameters
    ----------
    folder : str or os.PathLike
        Written by `save`.

    Returns
    -------
    estimator : estimator
        Fitted, on the device that its parameter names, or "auto" where this machine
        has no such device.

    Raises
    ------
    ModelFolderError
        If the folder is missing, damaged, tampered with, or of a later format.
    CheckpointNotFoundError
        If the pretrained weights that it names are nowhere on this machine.

    See Also
    --------
    save : Writes the folder.

    Examples
    --------
    >>> from sktransfer import load
    >>> load("nowhere")
    Traceback (most recent call last):
    ...
    sktransfer.exceptions.ModelFolderError: there is no folder ...nowhere: check ...
    """
    with on_disk("folder", folder):
        return read_bundle(folder)
