"""DomainMapDisplay: where the texts of two domains lie in one space of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils import check_random_state

from sktransfer.estimators import is_estimator
from sktransfer.exceptions import InvalidInputError
from sktransfer.plotting.compared import Compared, check_names, check_numbers
from sktransfer.plotting.style import (
    MUTED,
    PALETTE,
    Fonts,
    legend_below,
    open_axes,
    wrap_name,
)
from sktransfer.texts import check_texts
from sktransfer.validation import (
    RANDOM_STATE,
    Rule,
    check_parameters,
    explained,
    show,
    whole,
)

_AS_POINTS = "pass two numbers for each text, as an array of shape (n_texts, 2)"

__all__ = ["DomainMapDisplay"]

# Domain -> marker, size, and whether it is filled: told apart without colour.
_DOMAINS = {"source": ("o", 26, False), "target": ("^", 30, True)}


class DomainMapDisplay:
    """A map of source and target texts in the space of their features.

    Markers tell the domains apart, colours the labels. Domains that lie on top of each
    other with the same colours in the same places are those between which a classifier
    carries over. Use `from_comparison` or `from_estimator` to make one.

    Parameters
    ----------
    points : ndarray of shape (n_texts, 2)
        Places on the map.
    domains : sequence of {"source", "target"}, of length n_texts
    labels : sequence, of length n_texts, default=None
        What colours stand for.
    variances : sequence of float, of length 2, default=None
        Shares of the variance that the two axes have, for their names.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    collections_ : dict of (str, object) to matplotlib PathCollection
        The points of each domain and label.

    See Also
    --------
    TransferCurveDisplay : Whether the source helps, in scores.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sktransfer import DomainMapDisplay, load_mini_reviews
    >>> movies, movie_labels = load_mini_reviews("en", "movies", return_X_y=True)
    >>> texts, labels = load_mini_reviews("en", "products", return_X_y=True)
    >>> display = DomainMapDisplay.from_estimator(
    ...     TfidfVectorizer(), texts, labels, source=(movies, movie_labels)
    ... )
    >>> display.points.shape[1]
    2
    """

    def __init__(
        self,
        points: NDArray[np.floating[Any]],
        domains: Sequence[str],
        *,
        labels: Sequence[Any] | None = None,
        variances: Sequence[float] | None = None,
    ) -> None:
        self.points = points
        self.domains = domains
        self.labels = labels
        self.variances = variances

    @classmethod
    def from_comparison(
        cls,
        comparison: Compared,
        featurizer: Any = None,
        *,
        reducer: Any = None,
        max_texts: int = 500,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Map the source and target texts of a comparison.

        Parameters
        ----------
        comparison : StrategyComparison
            One that was given a source.
        featurizer : transformer, default=None
            Texts to vectors; None is that of the comparison, and where it had none
            ``BertFeaturizer()``.
        reducer : transformer, default=None
            Vectors to two numbers each; None is PCA.
        max_texts : int, default=500
            Most texts of a domain, drawn at random.
        random_state : int, RandomState instance or None, default=0
            Which texts are drawn.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : DomainMapDisplay

        Raises
        ------
        InvalidInputError
            If the comparison had no source.
        """
        if comparison.source is None:
            raise InvalidInputError(
                "The comparison had no source, so there is one domain only: call "
                "compare_strategies(..., source=(texts, labels)), or map any texts "
                "with from_estimator."
            )
        if featurizer is None:
            featurizer = comparison.encoder
        if featurizer is None:
            featurizer = _default_featurizer()
        return cls.from_estimator(
            featurizer,
            comparison.texts,
            comparison.labels,
            source=comparison.source,
            reducer=reducer,
            max_texts=max_texts,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        source: tuple[Any, Any] | None = None,
        reducer: Any = None,
        max_texts: int = 500,
        random_state: Any = 0,
        ax: Any = None,
    ) -> Self:
        """Map texts by the vectors of a featurizer.

        Parameters
        ----------
        estimator : transformer
            Texts to vectors. A clone of it is fitted on the texts of both domains.
        X : sequence of str, of length n_texts
            Texts of the target domain.
        y : array-like of shape (n_texts,), default=None
            Their labels.
        source : (sequence of str, array-like or None), default=None
            Texts and labels of the source domain.
        reducer : transformer, default=None
            Vectors to two numbers each; None is PCA.
        max_texts : int, default=500
            Most texts of a domain, drawn at random.
        random_state : int, RandomState instance or None, default=0
            Which texts are drawn.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : DomainMapDisplay
        """
        check_parameters(
            {
                "estimator": estimator,
                "source": source,
                "reducer": reducer,
                "max_texts": max_texts,
                "random_state": random_state,
            },
            _RULES,
        )
        generator = check_random_state(random_state)
        texts: list[str] = []
        domains: list[str] = []
        labels: list[Any] = []
        sides = {"target": (X, y)} if source is None else {"source": source}
        sides["target"] = (X, y)
        for domain, (side, side_labels) in sides.items():
            some, some_labels = _draw(side, side_labels, domain, max_texts, generator)
            texts += some
            labels += some_labels
            domains += [domain] * len(some)
        vectors = clone(estimator).fit_transform(texts)
        if reducer is None:
            # PCA would have to fill a sparse matrix up to centre it.
            reducer = TruncatedSVD(2) if sparse.issparse(vectors) else PCA(2)
            reducer.set_params(random_state=0)
        else:
            reducer = clone(reducer)
        points = np.asarray(reducer.fit_transform(vectors), float)[:, :2]
        labelled = any(label is not None for label in labels)
        return cls(
            points,
            domains,
            labels=labels if labelled else None,
            variances=getattr(reducer, "explained_variance_ratio_", None),
        ).plot(ax)

    def _check(self) -> None:
        """See that there are points, and of each what is told of it."""
        with explained(f"points={show(self.points)} cannot be drawn", _AS_POINTS):
            points = np.asarray(self.points, dtype=float)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise InvalidInputError(
                f"points has the shape {points.shape}: {_AS_POINTS}."
            )
        for name, given in (("domains", self.domains), ("labels", self.labels)):
            if given is None and name == "labels":
                continue
            check_names(name, given)
            if len(given) != len(points):  # type: ignore[arg-type]
                raise InvalidInputError(
                    f"{name}={show(given)}, but one for each of the {len(points)} "
                    "points is expected."
                )
        check_numbers(variances=self.variances)
        if self.variances is not None and len(self.variances) < 2:
            raise InvalidInputError(
                f"variances={show(self.variances)}, but a share for each of the two "
                "directions is expected."
            )

    def plot(self, ax: Any = None) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        self : DomainMapDisplay
        """
        self._check()
        figure, ax = open_axes(ax, type(self).__name__, (5.2, 4.6))
        domains = np.asarray(self.domains)
        given = [None] * len(domains) if self.labels is None else list(self.labels)
        shown = list(dict.fromkeys(given))
        shown.sort(key=lambda label: (label is None, str(label)))
        numbers = np.array([shown.index(label) for label in given])
        names = [wrap_name(str(label), 24, 1) for label in shown]
        fonts = Fonts.of(names)
        self.collections_ = {}
        for domain, (marker, size, filled) in _DOMAINS.items():
            for number, label in enumerate(shown):
                here = self.points[(domains == domain) & (numbers == number)]
                if not len(here):
                    continue
                color = PALETTE[number % len(PALETTE)]
                self.collections_[domain, label] = ax.scatter(
                    here[:, 0], here[:, 1], s=size, marker=marker,
                    facecolors=color if filled else "none", edgecolors=color,
                    linewidths=0 if filled else 1.1, alpha=0.8 if filled else 0.55,
                )  # fmt: skip
        shares = [""] * 2
        if self.variances is not None:
            shares = [f" ({share:.0%} of the variance)" for share in self.variances]
        ax.set(xlabel="component 1" + shares[0], ylabel="component 2" + shares[1])
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[["top", "right"]].set_visible(False)
        names = [fonts.show(name) for name in names]
        handles = _legend(names if shown != [None] else [], set(domains.tolist()))
        if handles:
            fonts.apply(legend_below(figure, ax, handles, n_columns=3))
        self.figure_, self.ax_ = figure, ax
        return self


_TRANSFORMER = "a transformer with fit_transform, not a class of them,"
_RULES = {
    "estimator": Rule(
        lambda value: is_estimator(value) and hasattr(value, "transform"), _TRANSFORMER
    ),
    "source": Rule(
        lambda value: (
            value is None or (isinstance(value, (tuple, list)) and len(value) == 2)
        ),
        "None or a pair of texts and labels",
    ),
    "reducer": Rule(
        lambda value: (
            value is None or (is_estimator(value) and hasattr(value, "fit_transform"))
        ),
        f"None or {_TRANSFORMER}",
    ),
    "max_texts": whole(1),
    "random_state": RANDOM_STATE,
}


def _default_featurizer() -> Any:
    from sktransfer.encoders.featurizer import BertFeaturizer

    return BertFeaturizer()


def _draw(
    texts: Any, labels: Any, domain: str, max_texts: int, generator: Any
) -> tuple[list[str], list[Any]]:
    """At most `max_texts` texts of a domain with their labels, in their order."""
    is_target = domain == "target"
    name, of_labels = ("X", "y") if is_target else ("source[0]", "source[1]")
    held = check_texts(texts, name=name)
    held_labels = [None] * len(held) if labels is None else np.asarray(labels).tolist()
    if len(held) != len(held_labels):
        raise InvalidInputError(
            f"{name} has {len(held)} texts, but {of_labels} has {len(held_labels)} "
            "labels: pass one label for each text."
        )
    chosen = generator.permutation(len(held))[:max_texts]
    chosen.sort()
    return [held[i] for i in chosen], [held_labels[i] for i in chosen]


def _legend(labels: Sequence[str], domains: set[str]) -> list[Any]:
    """Colours as squares, domains as their markers in grey."""
    from matplotlib.lines import Line2D

    looks = [
        (label, PALETTE[i % len(PALETTE)], "s", True) for i, label in enumerate(labels)
    ]
    looks += [
        (domain, MUTED, marker, filled)
        for domain, (marker, _, filled) in _DOMAINS.items()
        if len(domains) > 1 and domain in domains
    ]
    return [
        Line2D(
            [], [], linestyle="none", marker=marker, markersize=8, label=label,
            color=color, markerfacecolor=color if filled else "none",
        )
        for label, color, marker, filled in looks
    ]  # fmt: skip
