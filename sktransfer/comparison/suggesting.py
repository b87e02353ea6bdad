"""suggest: which texts to label next, by uncertainty and diversity.

Shapes: n texts are asked for, m distinct ones are there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sktransfer.comparison.run.evaluation import predict
from sktransfer.estimators import is_encoder, is_text_classifier, wrapped_in
from sktransfer.exceptions import InvalidInputError
from sktransfer.texts import check_texts
from sktransfer.validation import RANDOM_STATE, check_parameters, whole

__all__ = ["suggest"]

# Among so many uncertain texts for each that is asked for, different ones are chosen.
_N_UNCERTAIN = 3


def suggest(
    model: Any, unlabelled: Any, n: int = 20, *, random_state: Any = None
) -> npt.NDArray[np.intp]:
    """Which texts to label next: uncertain ones that differ from each other.

    Parameters
    ----------
    model : classifier
        Fitted, with ``predict_proba`` or ``decision_function``.
    unlabelled : iterable of str, or array of shape (n_texts, n_features)
        Texts without labels, or their vectors if the model reads vectors.
    n : int, default=20
        How many to suggest.
    random_state : int, RandomState or None, default=None
        For the clusters of vectors.

    Returns
    -------
    rows : ndarray of int of shape (n,)
        Positions in `unlabelled`, the most uncertain first. Of copies only the first is
        suggested; there are fewer rows where there are fewer different texts.

    Raises
    ------
    InvalidInputError
        If the model is no classifier with probabilities or decisions, or `unlabelled`
        holds no texts and no vectors.
    InvalidParameterError
        If `n` or `random_state` is none.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    compare_strategies : Finds the model.

    Notes
    -----
    Of the 3 n texts with the smallest margin between the two most probable classes,
    k-means with the margins as weights makes n clusters, and the text next to each
    centre is suggested. Vectors are those that the model makes itself, through its
    cache; where it makes none, the margin alone decides.

    Where one class is rare this saves most labels; where classes are even and hard to
    tell apart it saved none in our measurements. Labels that were chosen so are no
    sample of your texts: measure accuracy on texts that were drawn at random.

    References
    ----------
    Zhdanov (2019). "Diverse mini-batch Active Learning". arXiv:1901.05954.

    Examples
    --------
    >>> from sktransfer import load_mini_reviews, suggest
    >>> from sktransfer.baselines import nbsvm_baseline
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> model = nbsvm_baseline(texts).fit(texts[:40], labels[:40])
    >>> suggest(model, texts[40:], n=5, random_state=0).shape
    (5,)
    """
    rules = {"n": whole(1), "random_state": RANDOM_STATE}
    check_parameters({"n": n, "random_state": random_state}, rules)
    asked = any(hasattr(model, name) for name in ("predict_proba", "decision_function"))
    if not is_text_classifier(model) or not asked:
        raise InvalidInputError(
            f"model is of type {type(model).__name__}, but a fitted classifier with "
            "predict_proba or decision_function is expected."
        )
    check_is_fitted(model)
    rows, X = _check(unlabelled)
    given = predict(model, X, np.asarray(model.classes_)).probabilities
    if not np.isfinite(given).all():
        raise InvalidInputError("the model's probabilities hold NaN or infinity.")
    two = np.sort(given, axis=1)[:, -2:]
    doubt = 1 - (two[:, 1] - two[:, 0])
    order = np.argsort(-doubt, kind="stable")[: _N_UNCERTAIN * n]
    if len(order) > n:
        some = [X[row] for row in order] if isinstance(X, list) else X[order]
        vectors = _vectors_of(model, some)
        chosen = order[:n]
        if vectors is not None:
            chosen = order[_spread(vectors, doubt[order], n, random_state)]
        order = chosen
    return rows[order]


def _check(unlabelled: Any) -> tuple[npt.NDArray[np.intp], Any]:
    """Positions (m,) of distinct texts, and these; or of all vectors."""
    if getattr(unlabelled, "ndim", 1) == 2:
        vectors = np.asarray(unlabelled)
        if vectors.dtype.kind not in "biuf" or not np.isfinite(vectors).all():
            raise InvalidInputError(
                "unlabelled is a table, but texts, or an array of finite numbers, are "
                "expected: pass one column of a table of texts."
            )
        return np.arange(len(vectors)), vectors
    texts = check_texts(unlabelled, name="unlabelled")
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text.strip(), row)
    rows = np.fromiter(first.values(), dtype=np.intp)
    return rows, [texts[row] for row in rows]


def _vectors_of(model: Any, X: Any) -> Any:
    """Vectors by which a model tells its rows apart; None where it has none."""
    while model is not None:
        if isinstance(model, Pipeline) and len(model.steps) > 1:
            return model[:-1].transform(X)
        if is_encoder(encoder := getattr(model, "encoder_", None)):
            return encoder.transform(X)
        model = wrapped_in(model)
    return None if isinstance(X, list) else X


def _spread(
    vectors: Any, doubt: npt.NDArray[np.float64], n: int, random_state: Any
) -> npt.NDArray[np.intp]:
    """Places (n,) of rows that differ from each other, the most doubtful first.

    The rows come with the most doubtful first.
    """
    means = KMeans(n, n_init=1, random_state=check_random_state(random_state))
    # Where all are certain, all weigh the same.
    weights = doubt + np.finfo(float).eps
    distances = means.fit(vectors, sample_weight=weights).transform(vectors)
    places = np.unique(distances.argmin(axis=0))
    # Two centres may have one text next to them.
    others = np.setdiff1d(np.arange(len(doubt)), places)
    kept: npt.NDArray[np.intp] = np.append(places, others[: n - len(places)])
    return np.sort(kept)
