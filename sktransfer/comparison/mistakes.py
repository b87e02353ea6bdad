"""The texts that a strategy is most wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sktransfer.exceptions import InvalidParameterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_mistakes"]


def find_mistakes(
    predictions: pd.DataFrame, texts: Sequence[str], classes: Sequence[Any], n: int
) -> pd.DataFrame:
    """Most confident mistakes among predictions.

    Where several repeats got a text wrong, the most confident one counts.

    Parameters
    ----------
    predictions : DataFrame
        As in `StrategyComparison`.
    texts : sequence of str
        What the column ``row`` counts.
    classes : sequence of length n_classes
        Labels in the order of the columns of probabilities.
    n : int
        At most so many.

    Returns
    -------
    mistakes : DataFrame
        Columns ``row``, ``text``, ``label``, ``predicted`` and ``probability``.

    Raises
    ------
    InvalidParameterError
        If `n` is below 1.
    """
    import pandas as pd

    if n < 1:
        raise InvalidParameterError(f"n={n}, but at least 1 is expected.")
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    place = {label: column for column, label in enumerate(classes)}
    told = np.array([place[label] for label in wrong["predicted"].tolist()], dtype=int)
    columns = [f"probability_{label}" for label in classes]
    given = wrong[columns].to_numpy(dtype=float)
    # As objects: half a character cannot stand in a column of str.
    quoted = np.array([texts[row] for row in wrong["row"]], dtype=object)
    wrong = wrong.assign(
        text=pd.Series(quoted, index=wrong.index, dtype=object),
        probability=given[np.arange(len(wrong)), told],
    )
    wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    kept = ["row", "text", "label", "predicted", "probability"]
    return wrong.drop_duplicates("row")[kept].head(n).reset_index(drop=True)
