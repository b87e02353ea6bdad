"""compare_predictions: out-of-fold predictions from elsewhere, compared.

Tables, tests and sentences come from the code that `compare_strategies` goes through:
predictions become the outcomes of folds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sktransfer._compat import _BaseScorer
from sktransfer.baselines.registry import GUESSING, REFERENCE
from sktransfer.classifier.data.checks import check_labels
from sktransfer.comparison.checks.facts import gather
from sktransfer.comparison.checks.registry import (
    data_findings,
    result_findings,
    tabulate,
)
from sktransfer.comparison.columns import COLUMNS
from sktransfer.comparison.findings.sentences import tell
from sktransfer.comparison.findings.summary import Summary
from sktransfer.comparison.result import StrategyComparison
from sktransfer.comparison.run.evaluation import (
    Prediction,
    Scoring,
    describe_error,
    measure,
)
from sktransfer.comparison.run.schedule import Data
from sktransfer.comparison.setup.candidates import Candidate
from sktransfer.comparison.setup.folds import (
    Fold,
    Rows,
    TrainSize,
    bind_rows,
    check_groups,
)
from sktransfer.comparison.setup.given_folds import guess_commonest, plan_folds
from sktransfer.comparison.setup.given_predictions import (
    GivenPredictions,
    read_classes,
    read_predictions,
)
from sktransfer.estimators import TextClassifier
from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    SktransferWarning,
    warn,
)
from sktransfer.packages import require_extra
from sktransfer.texts import check_texts
from sktransfer.validation import did_you_mean, one_of, show

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_predictions"]

_KINDS = ("baseline", "strategy", "given")
_SECONDS = ("fit_seconds", "predict_seconds")
# What can be told of a strategy beside its predictions and seconds.
_COSTS = [c.name for c in COLUMNS if c.group == "cost" and c.name not in _SECONDS]
_DETAILS = ("kind", "encoder", "train_size", *_COSTS)


def compare_predictions(
    y: npt.ArrayLike,
    predictions: Mapping[str, Any],
    *,
    groups: Collection[object] | None = None,
    texts: Iterable[str] | None = None,
    folds: object = None,
    classes: Iterable[Any] | None = None,
    baseline: str | None = "auto",
    scoring: str | Callable[..., float] = "auto",
    seconds: Mapping[str, float | Sequence[float]] | None = None,
    details: Mapping[str, Mapping[str, Any]] | None = None,
) -> StrategyComparison:
    """Compare out-of-fold predictions that were made elsewhere.

    Tables, tests and sentences are those of `compare_strategies`. Each prediction has
    to come from a model that had not seen the text, nor a copy of it or another text of
    its group: those of `cross_val_predict`, or of one model for texts held out.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of the texts.
    predictions : dict of str to array-like or DataFrame
        For each strategy, in one of these forms, which may differ between strategies:

        - labels, of the shape (n,);
        - probabilities, of the shape (n, n_classes), or a DataFrame with a column a
          class; the label is the most probable class. Of two classes also those of the
          second one, floats of the shape (n,) that are no labels;
        - a list of such arrays, one a repeat of the cross-validation, or an array of
          the shape (n_repeats, n) or (n_repeats, n, n_classes);
        - a DataFrame as in `StrategyComparison.predictions`: ``row`` and ``predicted``,
          and perhaps ``repeat``, ``fold``, ``label`` and ``probability_<class>``. It
          may be of some rows only, if all are of the same ones.

        What can be read in two ways is an error.
    groups : array-like of shape (n,) or None, default=None
        Texts of one group, as sentences of one review, count as what belongs together.
    texts : iterable of str, of length n, or None, default=None
        The texts: copies of one are bound as a group is, and mistakes are quoted. Where
        they are None, rows are named by their number.
    folds : array-like, list of (train, test) or None, default=None
        The fold that each text was held out in, of the shape (n,) or (n_repeats, n), or
        the list that a splitter gives, as ``list(cv.split(texts, y))``. None takes all
        predictions of a repeat together.
    classes : array-like of shape (n_classes,) or None, default=None
        Labels in the order of the columns of probabilities. None is the sorted labels
        of `y`, as in ``classes_`` of an estimator.
    baseline : str or None, default="auto"
        Strategy that the others are tested against. "auto" is "tfidf" if one is called
        so, and else the first; it also adds the row "majority", the commonest class of
        the training rows, or of all rows where folds are not known. A single strategy
        is compared with that row. None tests nothing.
    scoring : str or callable, default="auto"
        Main metric, by its name in scikit-learn or from `make_scorer`; the greater the
        better. "auto" is accuracy, or balanced accuracy where classes are skewed.
    seconds : dict of str to float or (float, float), or None, default=None
        Seconds of one training of a strategy, or of one training and of predicting one
        fold. What is not told stays empty.
    details : dict of str to dict or None, default=None
        Other columns of the results, as ``{"mine": {"encoder": "my-bert"}}``: "kind",
        "encoder", "train_size" (the same for all, or 0 for what learnt from other texts
        only), "texts_per_second", "fit_peak_mib" and "n_trainable_parameters".

    Returns
    -------
    comparison : StrategyComparison
        As of `compare_strategies`, without estimators: `best_estimator` is an error.
        Without `folds`, a repeat is one fold, and ``train_size`` is NaN unless told.

    Raises
    ------
    InvalidInputError
        If labels, predictions, groups, texts or folds cannot be used.
    InvalidParameterError
        If a parameter is out of range, or names a strategy that is not there.
    MissingExtraError
        If pandas is not installed.

    See Also
    --------
    compare_strategies : Trains what it compares.
    load_predictions : Reads what `StrategyComparison.save_predictions` wrote.
    sklearn.model_selection.cross_val_predict : Makes predictions out of fold.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import StratifiedKFold, cross_val_predict
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from sktransfer import compare_predictions, load_mini_reviews
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> folds = list(StratifiedKFold(5).split(texts, labels))
    >>> tfidf = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> svm = make_pipeline(TfidfVectorizer(), LinearSVC())
    >>> predictions = {
    ...     "tfidf": cross_val_predict(
    ...         tfidf, texts, labels, cv=folds, method="predict_proba"
    ...     ),
    ...     "svm": cross_val_predict(svm, texts, labels, cv=folds),
    ... }
    >>> comparison = compare_predictions(
    ...     labels, predictions, texts=texts, folds=folds
    ... )
    >>> comparison.results["strategy"].tolist()
    ['majority', 'tfidf', 'svm']
    >>> comparison.baseline
    'tfidf'
    """
    require_extra("pandas", "compare", "compare_predictions")
    labels = check_labels(y, _length(y))
    if classes is not None and not isinstance(classes, Iterable):
        raise InvalidParameterError(
            f"classes={show(classes)}, but None or a list of labels is expected."
        )
    metric = _check_scoring(scoring, labels)
    order = read_classes(classes, labels)
    bound, shown = _bind(texts, groups, len(labels))
    said = read_predictions(y, labels, predictions, order)
    _check_characters([*said, *order])
    first = next(iter(said.values()))
    planned = plan_folds(first, folds, bound)
    if planned is not None and folds is not None:
        _warn_of_leaks(planned[0], bound)
    parts = _pool(first, len(labels)) if planned is None else planned
    sizes = [len(fold.train) for fold in parts[0]]
    size = TrainSize(round(float(np.mean(sizes))))
    data = Data(
        shown, labels, _sort(order, labels), bound, parts[0], [size], metric, seed=0
    )
    if baseline == "auto" and GUESSING not in said:
        said = {GUESSING: _guess(data, first, parts[1])} | said
    _check_probabilities(said, metric)
    about = _check_details(details, said, seconds)
    candidates = [_candidate(name, about[name]) for name in said]
    baseline = _choose_baseline(baseline, list(said))
    outcomes = {
        (name, size.n_texts): [
            _outcome(data, name, fold, given.take(places), about[name])
            for fold, places in zip(*parts, strict=True)
        ]
        for name, given in said.items()
    }
    summary = Summary(data, candidates, outcomes, baseline)
    results, table = summary.results(), summary.folds()
    _fill_in(results, about, [*_SECONDS, *_COSTS])
    # Sentences go by the size that rows have in common; tables tell what is known.
    verdicts = tell(summary, results, None)
    if planned is None:
        results["train_size"] = math.nan
        table["train_size"] = table["n_train"] = math.nan
    else:
        _fill_in(table, about, ["train_size"])
    _fill_in(results, about, ["train_size"])
    told = summary.predictions()
    facts = replace(
        gather(data, groups=groups),
        texts=None if texts is None else shown,
        folds=[] if planned is None else data.folds,
        predictions=told,
        scores=None if planned is None else table,
        baseline=baseline,
    )
    return StrategyComparison(
        results,
        table,
        told,
        classes=data.classes,
        texts=shown,
        labels=labels,
        scoring=metric.name,
        scoring_reason=metric.reason,
        baseline=baseline,
        verdicts=verdicts,
        checks=tabulate([*data_findings(facts), *result_findings(facts)]),
        bound=bound,
    )


def _length(y: object) -> int:
    no_rows = sparse.issparse(y) or getattr(y, "ndim", 1) == 0
    if no_rows or isinstance(y, (str, bytes)) or not hasattr(y, "__len__"):
        raise InvalidInputError(
            f"y is of type {type(y).__name__}, but one label a text is expected, as a "
            "list or a 1-D array."
        )
    if not len(y):
        raise InvalidInputError("y has 0 labels, but at least 2 are needed.")
    return len(y)


def _check_characters(names: Iterable[Any]) -> None:
    """Refuse names and labels with half a character, which no table holds."""
    for name in names:
        try:
            str(name).encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"{name!r} holds half a character at position {error.start}, as broken "
                "decoders leave it, but names and labels of whole ones are expected: "
                "rename it."
            ) from error


def _check_scoring(
    scoring: str | Callable[..., float], labels: npt.NDArray[Any]
) -> Scoring:
    metric = Scoring.resolve(scoring, labels)
    if not isinstance(metric.scorer, _BaseScorer):
        raise InvalidParameterError(
            f"scoring={scoring!r} is a function of a model, and there are predictions "
            "only: pass a name of scikit-learn's, or what make_scorer makes of a "
            "metric."
        )
    return metric


def _bind(
    texts: Iterable[str] | None, groups: Collection[object] | None, n: int
) -> tuple[Rows, list[str]]:
    """Numbers of what belongs together, and the texts or what stands for them."""
    check_groups(groups, n, "y has {} labels")
    shown = None if texts is None else check_texts(texts, name="texts")
    for name, given in (("texts", shown), ("groups", groups)):
        if given is not None and len(given) != n:
            raise InvalidInputError(
                f"y has {n} labels but {name} has {len(given)} entries: pass one a "
                "label."
            )
    if shown is not None:
        return bind_rows(shown, None if groups is None else list(groups)), shown
    known: dict[object, int] = {}
    kept = range(n) if groups is None else groups
    bound = np.array([known.setdefault(group, len(known)) for group in kept], np.intp)
    return bound, [f"row {row}" for row in range(n)]


def _warn_of_leaks(folds: Sequence[Fold], bound: Rows) -> None:
    """Say it where texts were held out while what belongs to them was not."""
    leaked = {
        row
        for fold in folds
        for row in fold.test[np.isin(bound[fold.test], bound[fold.train])].tolist()
    }
    if leaked:
        warn(
            f"{len(leaked)} of {len(bound)} texts were held out in a fold whose "
            "training part has a copy of them, or a text of their group: the models "
            "may have known them, and scores be too high. Predict them with folds that "
            "keep these together, as GroupKFold does.",
            SktransferWarning,
        )


def _sort(order: list[Any], labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Classes sorted, as an array of the kind that the labels are."""
    found = np.unique(labels)
    return found if len(found) == len(order) else np.unique(np.asarray(order))


def _pool(said: GivenPredictions, n: int) -> tuple[list[Fold], list[Rows]]:
    """One fold a repeat, where nobody knows which models made the predictions.

    Together these have learnt from all texts.
    """
    folds, places = [], []
    for repeat in np.unique(said.repeats).tolist():
        mine = np.flatnonzero(said.repeats == repeat)
        folds.append(Fold(repeat, 0, np.arange(n), said.rows[mine]))
        places.append(mine)
    return folds, places


def _guess(
    data: Data, like: GivenPredictions, places: Sequence[Rows]
) -> GivenPredictions:
    """Predictions of the commonest class for the same entries."""
    predicted = np.zeros(len(like.rows), dtype=np.intp)
    given = np.zeros((len(like.rows), len(data.classes)))
    for fold, mine in zip(data.folds, places, strict=True):
        predicted[mine], given[mine] = guess_commonest(
            data.labels, data.classes, fold.train, fold.test
        )
    return GivenPredictions(like.rows, like.repeats, like.folds, predicted, given)


def _check_probabilities(said: Mapping[str, GivenPredictions], metric: Scoring) -> None:
    """Refuse labels where the metric is of probabilities."""
    asked = getattr(metric.scorer, "_response_method", "predict")
    methods = [asked] if isinstance(asked, str) else list(asked)
    lacking = [name for name, given in said.items() if not given.has_probabilities]
    if lacking and "predict" not in methods:
        raise InvalidInputError(
            f"scoring={metric.name!r} is a metric of probabilities, but "
            f"predictions[{lacking[0]!r}] has labels only: pass probabilities of the "
            "shape (n, n_classes), or another metric."
        )


def _choose_baseline(baseline: str | None, names: list[str]) -> str | None:
    if isinstance(baseline, str) and baseline == "auto":
        given = [name for name in names if name != GUESSING]
        if REFERENCE in given:
            return REFERENCE
        return given[0] if len(given) > 1 else GUESSING
    if not one_of(*names, None).accepts(baseline):
        raise InvalidParameterError(
            f"baseline={show(baseline)}, but 'auto', None or one of the strategies "
            f"{names} is expected."
        )
    return baseline


def _check_details(
    details: Mapping[str, Mapping[str, Any]] | None,
    said: Mapping[str, object],
    seconds: Mapping[str, float | Sequence[float]] | None,
) -> dict[str, dict[str, Any]]:
    """What is told of each strategy beside its predictions, by column."""
    about: dict[str, dict[str, Any]] = {name: {} for name in said}
    about.get(GUESSING, {})["kind"] = "baseline"
    for what, given in (("details", details), ("seconds", seconds)):
        if given is not None and not isinstance(given, Mapping):
            raise InvalidParameterError(
                f"{what} is of type {type(given).__name__}, but a dict by the names of "
                "strategies is expected."
            )
        unknown = [name for name in given or () if name not in said]
        if unknown:
            raise InvalidParameterError(
                f"{what} names {show(unknown[0])}, but one of the strategies "
                f"{list(said)} is expected.{did_you_mean(unknown[0], said)}"
            )
    for name, columns in (details or {}).items():
        if not isinstance(columns, Mapping):
            raise InvalidParameterError(
                f"details[{name!r}]={show(columns)}, but a dict of columns to values "
                "is expected."
            )
        for column, value in columns.items():
            about[name][column] = _check_detail(name, column, value)
    for name, told in (seconds or {}).items():
        pair = [told] if isinstance(told, Real) else list(cast(Sequence[float], told))
        if not 1 <= len(pair) <= 2:
            raise InvalidParameterError(
                f"seconds[{name!r}]={told!r}, but seconds of one training, or a pair "
                "with those of predicting, are expected."
            )
        for column, value in zip(_SECONDS, pair, strict=False):
            about[name][column] = _check_cost(f"seconds[{name!r}]", value)
    known = {columns.get("train_size") or 0 for columns in about.values()} - {0}
    if len(known) > 1:
        raise InvalidParameterError(
            f"details tells the train sizes {sorted(known)}, but strategies are "
            "compared at one of them, or at 0 where they learnt from other texts only."
        )
    told_of = [name for name in about if "train_size" in about[name]]
    if told_of and not known and len(told_of) < len(about):
        raise InvalidParameterError(
            f"details tells the train_size 0 of {told_of}, but that of the others is "
            "not known: tell it as well."
        )
    for columns in about.values():
        if known:
            columns.setdefault("train_size", next(iter(known)))
    return about


def _check_detail(name: str, column: str, value: Any) -> Any:
    where = f"details[{name!r}][{column!r}]"
    if column not in _DETAILS:
        raise InvalidParameterError(
            f"{where} is no column that can be told; these can: {list(_DETAILS)}."
        )
    if column == "kind" and value not in _KINDS:
        raise InvalidParameterError(
            f"{where}={value!r}, but one of {list(_KINDS)} is expected."
        )
    if column == "encoder" and not isinstance(value, (str, type(None))):
        raise InvalidParameterError(
            f"{where} is of type {type(value).__name__}, but a str or None is expected."
        )
    if column in ("kind", "encoder"):
        return value
    cost = _check_cost(where, value)
    if column == "train_size":
        if cost % 1 != 0:
            raise InvalidParameterError(
                f"{where}={value!r}, but a whole number is expected."
            )
        return int(cost)
    return cost


def _check_cost(where: str, value: object) -> float:
    # NaN is what nobody knows.
    if isinstance(value, Real) and not isinstance(value, bool) and not value < 0.0:
        return float(value)
    raise InvalidParameterError(
        f"{where}={value!r}, but a number of at least 0 is expected."
    )


def _candidate(name: str, about: Mapping[str, Any]) -> Candidate:
    # Nothing is fitted here: there is no estimator.
    nothing = cast(TextClassifier, None)
    kind, encoder = about.get("kind", "given"), about.get("encoder")
    return Candidate(name, kind, nothing, encoder=encoder)


def _outcome(
    data: Data, name: str, fold: Fold, said: GivenPredictions, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Outcome of a fold, as of `evaluate`."""
    outcome: dict[str, Any] = {
        "strategy": name,
        "train_size": data.sizes[0].n_texts,
        "repeat": fold.repeat,
        "fold": fold.number,
        "n_train": len(fold.train),
        "n_test": len(fold.test),
    }
    predicted = data.classes[said.predicted]
    prediction = Prediction(predicted, said.probabilities, None, data.classes, 0.0)
    labels = data.labels[fold.test]
    nobody = cast(TextClassifier, None)  # predictions are there: none is asked
    try:
        with warnings.catch_warnings():
            # What has no value in a fold fails the row, which says so.
            warnings.simplefilter("ignore")
            metrics = measure(
                nobody, prediction, [], labels, data.classes, data.scoring
            )
    except ValueError as error:
        return outcome | {"status": "failed", "error": describe_error(error)}
    if not math.isfinite(metrics["score"]):
        why = f"{data.scoring.name} is {metrics['score']}, which is no score."
        return outcome | {"status": "failed", "error": why}
    return outcome | {
        "status": "done",
        "error": "",
        "metrics": metrics,
        **{column: about.get(column, math.nan) for column in (*_SECONDS, *_COSTS)},
        "best_params": "",
        "predictions": {
            "rows": fold.test.tolist(),
            "predicted": said.predicted.tolist(),
            "probabilities": said.probabilities.tolist(),
        },
    }


def _fill_in(
    table: pd.DataFrame, about: Mapping[str, Mapping[str, Any]], columns: Sequence[str]
) -> None:
    """Write what was told of strategies into their rows."""
    for column in columns:
        for name, told in about.items():
            if column in told and column in table:
                table.loc[table["strategy"] == name, column] = told[column]
