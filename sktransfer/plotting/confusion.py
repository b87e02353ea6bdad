"""ConfusionDisplay: what each strategy takes for what, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

from sktransfer.classifier.data.checks import check_labels
from sktransfer.estimators import is_text_classifier
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.packages import require_extra
from sktransfer.plotting.compared import (
    Compared,
    check_compared,
    check_names,
    strategies_of,
)
from sktransfer.plotting.style import Fonts, check_axes, wrap_name
from sktransfer.validation import Rule, check_parameters, explained, show, whole

__all__ = ["ConfusionDisplay"]

_RULES = {
    "estimator": Rule(is_text_classifier, "a fitted classifier, or a dict of them,"),
    "n_columns": whole(1),
}


class ConfusionDisplay:
    """Confusion matrices of several strategies side by side.

    Each cell has the share of its true class and the number of predictions. Use
    `from_comparison`, `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    matrices : dict of str to ndarray of shape (n_classes, n_classes)
        Numbers of predictions, a row for each true class.
    classes : sequence, of length n_classes
        Labels in the order of rows and columns.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : ndarray of matplotlib Axes, of length n_matrices
    displays_ : list of sklearn.metrics.ConfusionMatrixDisplay

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : One matrix, with more options.

    Examples
    --------
    >>> from sktransfer import ConfusionDisplay
    >>> truth = ["good", "good", "bad", "bad"]
    >>> guesses = {
    ...     "TF-IDF": ["good", "bad", "bad", "good"],
    ...     "frozen": ["good", "good", "bad", "good"],
    ... }
    >>> display = ConfusionDisplay.from_predictions(truth, guesses)
    >>> display.matrices["frozen"]
    array([[1, 1],
           [0, 2]])
    """

    def __init__(
        self, matrices: Mapping[str, NDArray[np.int64]], classes: Sequence[Any]
    ) -> None:
        self.matrices = matrices
        self.classes = classes

    @classmethod
    def from_comparison(
        cls,
        comparison: Compared,
        strategies: Sequence[str] | None = None,
        *,
        ax: Any = None,
    ) -> Self:
        """Draw the confusions of a comparison's predictions for held-out folds.

        Parameters
        ----------
        comparison : StrategyComparison
        strategies : sequence of str, default=None
            Which ones; None is the best one beside the baseline.
        ax : matplotlib Axes or sequence of them, default=None
            One for each strategy; None makes a new figure.

        Returns
        -------
        display : ConfusionDisplay
        """
        check_compared(comparison)
        held = comparison.predictions
        if strategies is None:
            usual = dict.fromkeys([comparison.best_strategy, comparison.baseline])
            strategies = [name for name in usual if name is not None and name in held]
        check_names("strategies", strategies)
        unknown = [name for name in strategies if name not in held]
        if unknown or not strategies:
            raise InvalidParameterError(
                f"strategies={list(strategies)}, but predictions are held for "
                f"{[name for name in strategies_of(comparison) if name in held]}: pass "
                "some of these."
            )
        classes = list(comparison.classes)
        matrices = {
            name: confusion_matrix(
                held[name]["label"].to_numpy(),
                held[name]["predicted"].to_numpy(),
                labels=classes,
            )
            for name in strategies
        }
        return cls(matrices, classes).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, ax: Any = None) -> Self:
        """Draw the confusions of one or several fitted classifiers.

        Parameters
        ----------
        estimator : estimator, or dict of str to estimator
            Fitted classifiers.
        X : sequence of str, of length n_texts
            Texts that they have not seen.
        y : array-like of shape (n_texts,)
            Their labels.
        ax : matplotlib Axes or sequence of them, default=None
            One for each estimator; None makes a new figure.

        Returns
        -------
        display : ConfusionDisplay
        """
        named = estimator
        if not isinstance(estimator, Mapping):
            named = {type(estimator).__name__: estimator}
        for fitted in named.values():
            check_parameters({"estimator": fitted}, _RULES, always=True)
        texts = list(X) if isinstance(X, Iterator) else X  # each goes through it
        guesses = {name: fitted.predict(texts) for name, fitted in named.items()}
        return cls.from_predictions(y, guesses, ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, classes: Any = None, ax: Any = None
    ) -> Self:
        """Draw the confusions of labels that were predicted.

        Parameters
        ----------
        y_true : array-like of shape (n_texts,)
            Labels.
        y_pred : array-like of shape (n_texts,), or dict of str to array-like
            What was predicted, by name where there are several.
        classes : sequence, default=None
            Order of the labels; None sorts those that occur.
        ax : matplotlib Axes or sequence of them, default=None
            One for each matrix; None makes a new figure.

        Returns
        -------
        display : ConfusionDisplay
        """
        named = y_pred if isinstance(y_pred, Mapping) else {"predictions": y_pred}
        check_names("y_true", y_true)
        true = check_labels(y_true, len(y_true), name="y_true")
        told = {
            name: _check_predicted(labels, len(true)) for name, labels in named.items()
        }
        if classes is None:
            classes = np.unique(np.concatenate([true, *told.values()])).tolist()
        remedy = "pass the labels that occur, each once"
        with explained(f"classes={show(classes)} cannot be used", remedy):
            matrices = {
                name: confusion_matrix(true, labels, labels=classes)
                for name, labels in told.items()
            }
        return cls(matrices, classes).plot(ax)

    def plot(self, ax: Any = None, *, n_columns: int = 3) -> Self:
        """Draw the matrices.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One for each matrix; None makes a new figure.
        n_columns : int, default=3
            Most matrices in a row of a new figure.

        Returns
        -------
        self : ConfusionDisplay
        """
        check_names("matrices", self.matrices)
        check_parameters({"n_columns": n_columns}, _RULES, always=True)
        figure, axes = self._open(ax, min(n_columns, len(self.matrices)))
        labels = [wrap_name(str(label), 12, 2) for label in self.classes]
        fonts = Fonts.of([*self.matrices, *labels])
        self.displays_ = []
        for place, (name, matrix) in enumerate(self.matrices.items()):
            totals = matrix.sum(axis=1, keepdims=True)
            shares = matrix / np.maximum(totals, 1)
            display = ConfusionMatrixDisplay(
                shares, display_labels=[fonts.show(label) for label in labels]
            )
            many = len(labels) > 3
            display.plot(
                ax=axes[place], cmap="Blues", colorbar=False,
                include_values=len(labels) <= 8,
                xticks_rotation=45 if many else "horizontal",
                im_kw={"vmin": 0, "vmax": 1},
                text_kw={"fontsize": "small" if many else "medium"},
            )  # fmt: skip
            if display.text_ is not None:
                for cell, share, number in zip(
                    display.text_.flat, shares.flat, matrix.flat, strict=True
                ):
                    cell.set_text(f"{share:.0%}\n{number:,}")
                    # White on a middle blue would be hard to read.
                    cell.set_color("white" if share > 0.62 else "#08306b")
            axes[place].set_title(
                fonts.show(wrap_name(name)), fontsize="medium", fontweight="bold"
            )
            axes[place].set(xlabel="predicted", ylabel="true" if not place else "")
            axes[place].spines[:].set_visible(False)
            self.displays_.append(display)
        fonts.apply(*axes)
        self.figure_, self.ax_ = figure, axes
        return self

    def _check_matrices(self) -> None:
        n = len(self.classes)
        matrices = self.matrices if isinstance(self.matrices, Mapping) else {"": None}
        for name, matrix in matrices.items():
            numbers = np.asarray(matrix)
            if numbers.shape != (n, n) or numbers.dtype.kind not in "iuf":
                raise InvalidInputError(
                    f"matrices={show(self.matrices)}, but a dict is expected, and in "
                    f"{name!r} counts of the shape ({n}, {n}): a row and a column for "
                    f"each of classes={show(list(self.classes))}."
                )

    def _open(self, ax: Any, n_columns: int) -> tuple[Any, NDArray[Any]]:
        """The figure and as many axes as there are matrices, shape (n_matrices,)."""
        require_extra("matplotlib", "plot", type(self).__name__)
        check_names("classes", self.classes)
        n_matrices = len(self.matrices)
        if not n_matrices:
            raise InvalidInputError(
                "matrices is empty: there is no matrix to draw, and 1 is needed."
            )
        self._check_matrices()
        if ax is not None:
            axes = np.ravel(np.asarray(ax, dtype=object))
            if len(axes) != n_matrices:
                raise InvalidParameterError(
                    f"ax has {len(axes)} axes, but {n_matrices} are expected, one for "
                    f"each of {list(self.matrices)}."
                )
            for each in axes:
                check_axes(each)
            return axes[0].figure, axes
        import matplotlib.pyplot as plt

        n_rows = -(-n_matrices // n_columns)
        side = 2.4 if len(self.classes) <= 3 else min(2.0 + 0.4 * len(self.classes), 7)
        figure, axes = plt.subplots(
            n_rows, n_columns, squeeze=False, layout="constrained",
            figsize=(max(side * n_columns, 3) + 0.4, (side + 0.5) * n_rows),
        )  # fmt: skip
        for spare in axes.ravel()[n_matrices:]:
            spare.set_visible(False)
        return figure, axes.ravel()[:n_matrices]


def _check_predicted(labels: Any, n: int) -> Any:
    """Labels that were predicted for the n texts of y_true."""
    held = check_labels(labels, len(labels), name="y_pred")
    if len(held) != n:
        raise InvalidInputError(
            f"y_true has {n} labels but y_pred has {len(held)}: pass one label per "
            "text to both."
        )
    return held
