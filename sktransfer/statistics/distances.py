"""How far a source domain lies from the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state

from sktransfer.exceptions import InvalidInputError
from sktransfer.validation import RANDOM_STATE, check_parameters

__all__ = ["proxy_a_distance"]

# Rows of each domain that are looked at: the error is then known to half a percent.
_MOST_ROWS = 5_000

_N_SPLITS = 5


def proxy_a_distance(
    source_features: Any, target_features: Any, *, random_state: Any = None
) -> float:
    """How well a linear classifier tells two domains apart: 0 not at all, 2 always.

    The distance is ``2 * (1 - 2 * err)``, with the error of logistic regression on
    standardised features in 5-fold cross-validation. Both domains give the same number
    of rows, drawn at random from the larger one, so that guessing has an error of one
    half. A classifier that is worse than guessing counts as guessing.

    Parameters
    ----------
    source_features, target_features : matrix of shape (n_texts, n_features)
        Vectors of texts, dense or sparse, made by the same featurizer. Duplicates of a
        text within a domain make it look further away.
    random_state : int, RandomState instance or None, default=None
        Draws rows, and folds.

    Returns
    -------
    distance : float
        In [0, 2].

    Raises
    ------
    InvalidInputError
        If the widths differ or a domain has fewer than two rows.

    References
    ----------
    Ben-David, Blitzer, Crammer and Pereira (2007). "Analysis of Representations for
    Domain Adaptation". NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer.statistics import proxy_a_distance
    >>> draw = np.random.default_rng(0).normal
    >>> proxy_a_distance(draw(size=(50, 2)), draw(9, size=(50, 2)), random_state=0)
    2.0
    """
    check_parameters({"random_state": random_state}, {"random_state": RANDOM_STATE})
    generator = check_random_state(random_state)
    domains = [
        check_array(features, accept_sparse="csr", dtype=np.float64, input_name=name)
        for features, name in (
            (source_features, "source_features"),
            (target_features, "target_features"),
        )
    ]
    widths = [features.shape[1] for features in domains]
    if widths[0] != widths[1]:
        raise InvalidInputError(
            f"source_features has {widths[0]} columns and target_features {widths[1]}, "
            "but vectors of one featurizer are expected for both."
        )
    sizes = [features.shape[0] for features in domains]
    if min(sizes) < 2:
        raise InvalidInputError(
            f"the source has {sizes[0]} rows and the target {sizes[1]}, but at least 2 "
            "of each are needed to tell them apart."
        )
    n_rows = min(*sizes, _MOST_ROWS)
    drawn = [
        features[_draw(features.shape[0], n_rows, generator)] for features in domains
    ]
    stacked = sparse.vstack(drawn).tocsr() if any(map(sparse.issparse, drawn)) else None
    X = np.vstack(drawn) if stacked is None else stacked
    y = np.repeat([0, 1], n_rows)
    # Sparse features are not centred: that would fill them.
    scaler = StandardScaler(with_mean=stacked is None)
    classifier = make_pipeline(scaler, LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(
        min(_N_SPLITS, n_rows), shuffle=True, random_state=generator
    )
    accuracies = cross_val_score(classifier, X, y, cv=folds, error_score="raise")
    return float(max(0.0, 2 * (2 * np.mean(accuracies) - 1)))


def _draw(
    n_rows: int, n_wanted: int, generator: np.random.RandomState
) -> NDArray[np.intp]:
    chosen: NDArray[np.intp] = generator.permutation(n_rows)[:n_wanted]
    return chosen
