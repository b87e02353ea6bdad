"""StrategyComparison: what came of a comparison, as tables and sentences.

It computes nothing but a refit on request. Pictures and pages read it and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sktransfer.comparison.checks.registry import tabulate
from sktransfer.comparison.findings.rendering import to_html, to_markdown, write_csv
from sktransfer.comparison.findings.summary import best_row, comparable_rows
from sktransfer.comparison.findings.suspects import find_suspects
from sktransfer.comparison.findings.trust import (
    find_sets,
    list_confidences,
    tabulate_confidences,
)
from sktransfer.comparison.prediction_files import write_predictions
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import (
    FLAG,
    check_parameters,
    did_you_mean,
    exactly,
    instance,
    on_disk,
    one_of,
    show,
    whole,
)

if TYPE_CHECKING:
    import pandas as pd

    from sktransfer.estimators import Encoder
    from sktransfer.statistics.selective import ConfidenceTable, LabelSets

__all__ = ["StrategyComparison", "find_mistakes"]


def find_mistakes(
    predictions: pd.DataFrame, texts: Sequence[str], classes: Sequence[object], n: int
) -> pd.DataFrame:
    """At most n of the most confident mistakes among predictions, one row a text.

    Where several repeats got a text wrong, the most confident one counts. `classes` are
    in the order of the columns of probabilities.
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


class StrategyComparison:
    """What `compare_strategies` found: one table, its folds and its predictions.

    Parameters
    ----------
    results, folds : DataFrame
        See the attributes of the same names; so also for the other parameters.
    predictions : mapping of str to DataFrame
        Strategy to its predictions out of fold.
    classes, texts, labels : array-like
        Distinct labels, texts of the target domain, and their labels.
    scoring : str
        Name of the main metric.
    scoring_reason : str, default=""
        Why it is that one, where the labels have decided.
    baseline, source : str and tuple, or None, default=None
        What the strategies are compared with, and texts and labels to learn from first.
    verdicts : sequence of str, default=()
        What follows, in plain sentences.
    domain_distance : float or None, default=None
        Proxy A-distance of source and target.
    encoder, encoders : BertFeaturizer and DataFrame, or None, default=None
        The transformer of the strategies that tune, and how it was chosen.
    checks : DataFrame or None, default=None
        What checks of the data and the results have found; None is nothing.
    refit : callable or None, default=None
        From a strategy's name and `tune_threshold` to an estimator that is fitted on
        everything; None where nothing can be fitted again.
    bound : ndarray or None, default=None
        Which texts belong together.

    Attributes
    ----------
    results : DataFrame
        One row a strategy, and a train size where there are several, with the columns

        ``strategy``
            Its name.
        ``kind``
            "baseline", "strategy" or "given" (by the user).
        ``encoder``
            Name of its transformer, or None.
        ``threshold``
            "balanced", or None; only where `compare_strategies` was given one.
        ``train_size``
            Mean number of labelled training texts of the target domain, an int; 0 for a
            strategy that learns from the source domain alone. NaN where predictions
            from elsewhere were compared, and nobody has told.
        ``score``, ``score_std``, ``score_low``, ``score_high``
            Main metric of all predictions out of fold, averaged over repeats, its
            standard deviation over folds, and the ends of its 95 % interval; all NaN
            unless status is "done". ROC AUC, average precision, and functions of the
            model are means over folds.
        ``accuracy``, ``balanced_accuracy``, ``f1_macro``
            Of all predictions likewise; with another main metric also that one, by its
            name.
        ``fit_seconds``, ``predict_seconds``, ``texts_per_second``
            Means over the folds; texts that strategies share are encoded once, and each
            is charged for it. The last: new texts a second by a warm model, tokenizing
            and encoding included, measured once a strategy; NaN where that failed.
        ``load_seconds``
            What loading takes that is done once a process, as of weights, tokenizers
            and lexica; it is in no other seconds. NaN for folds of an older journal.
        ``fit_peak_mib``
            MiB by which the process grew at most during a fit, in the fold where it
            grew most; NaN where the system does not tell, or a fold had nothing to fit.
        ``n_trainable_parameters``
            Float; NaN where nobody knows.
        ``difference``, ``difference_low``, ``difference_high``, ``pvalue``
            Difference of the score from the baseline's, on the same texts, its 95 %
            interval, and its p-value, corrected for all differences that the comparison
            tests; NaN for the baseline itself. What guesses is not tested.
        ``could_be_best``
            Whether it may be the best strategy, at the largest train size: with 95 %
            confidence the best one is among those for which it is true. NaN elsewhere,
            and for what guesses, unless it leads or is the baseline.
        ``n_folds``
            Folds that were run, over all repeats.
        ``status``, ``error``
            "done", "failed", "skipped" (no time was left) or "stopped" (far behind, in
            a race); why, or the empty string.
    folds : DataFrame
        One row a strategy, train size, repeat and fold: ``strategy``, ``kind``,
        ``train_size`` (as in `results`), ``repeat``, ``fold`` (both from 0),
        ``n_train``, ``n_test``, ``score``, the metrics, ``fit_seconds``,
        ``predict_seconds``, ``load_seconds``, ``fit_peak_mib``,
        ``n_trainable_parameters``, ``best_params``, ``status`` and ``error``.
    predictions : dict of str to DataFrame
        For each strategy that was run, at its largest train size, out of fold: ``row``
        (position in `texts`), ``repeat``, ``label``, ``predicted`` and a column
        ``probability_<class>`` for each of `classes`, in their order.
    classes : ndarray of shape (n_classes,)
        Distinct labels, sorted.
    baseline : str or None
        Name of the strategy that the others are compared with.
    scoring : str
        Name of the main metric; the greater the better.
    scoring_reason : str
        Why it is that one, as "45 of 300 texts are 'bad', so balanced accuracy
        decides", where the labels have decided; else the empty string.
    texts, labels : list of str and ndarray, of length n
        The target domain.
    source : tuple of (list of str, ndarray) or None
        Texts and labels of the source domain that were used.
    verdicts : list of str
        What follows, in plain sentences; a warning of negative transfer among them.
    domain_distance : float or None
        Proxy A-distance of source and target: 0 where they cannot be told apart, 2
        where they always can.
    encoder : BertFeaturizer or None
        What the strategies that tune start from, not fitted.
    encoders : DataFrame or None
        One row a transformer of the default strategies, the best first: ``encoder``,
        ``strategy`` (its row of frozen features), ``score``, ``difference`` (from the
        leader's, with its ``pvalue``), ``leads``, ``status`` and ``error``.
    bound : ndarray of int of shape (n,), or None
        Texts with the same number belong together: copies, and those of one group.
    checks : DataFrame
        One row a finding of a check, none where all is well: ``number`` (as "SKT003"),
        ``name``, ``finding`` (a sentence with figures), ``remedy`` (what to do),
        ``page`` (of the documentation), ``rows`` (positions of the texts that it is
        about) and ``strategies`` (names of those that it is about).

    See Also
    --------
    compare_strategies : Makes one.
    compare_predictions : Makes one of predictions that are there.

    Examples
    --------
    >>> from sktransfer import compare_strategies, load_mini_reviews
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> comparison = compare_strategies(
    ...     texts, labels, strategies=["tfidf", "vader"], cv=3, random_state=0
    ... )
    >>> comparison.best_strategy
    'vader'
    """

    def __init__(
        self,
        results: pd.DataFrame,
        folds: pd.DataFrame,
        predictions: Mapping[str, pd.DataFrame],
        *,
        classes: npt.NDArray[Any],
        texts: Sequence[str],
        labels: npt.NDArray[Any],
        scoring: str,
        scoring_reason: str = "",
        baseline: str | None = None,
        source: tuple[list[str], npt.NDArray[Any]] | None = None,
        verdicts: Sequence[str] = (),
        domain_distance: float | None = None,
        encoder: Encoder | None = None,
        encoders: pd.DataFrame | None = None,
        checks: pd.DataFrame | None = None,
        refit: Callable[[str, bool | str], Any] | None = None,
        bound: npt.NDArray[np.intp] | None = None,
    ) -> None:
        self.results = results
        self.folds = folds
        self.predictions = dict(predictions)
        self.classes = np.asarray(classes)
        self.texts = list(texts)
        self.labels = np.asarray(labels)
        self.scoring = scoring
        self.scoring_reason = scoring_reason
        self.baseline = baseline
        self.source = source
        self.verdicts = list(verdicts)
        self.domain_distance = domain_distance
        self.encoder = encoder
        self.encoders = encoders
        self.bound = bound
        self.checks = tabulate([]) if checks is None else checks
        self._refit = refit

    @property
    def has_estimators(self) -> bool:
        """Whether `best_estimator` can fit something.

        Returns
        -------
        has_estimators : bool
            False for what `compare_predictions` made.
        """
        return self._refit is not None

    @property
    def best_strategy(self) -> str:
        """Name of the strategy with the best score at the largest train size.

        Returns
        -------
        name : str

        Raises
        ------
        InvalidParameterError
            If no strategy was run to its end.
        """
        rows = comparable_rows(self.results)
        if rows.empty:
            raise InvalidParameterError(
                "no strategy was run to its end, so none is best: look at the columns "
                "status and error of results."
            )
        return str(best_row(rows)["strategy"])

    def best_estimator(self, tune_threshold: bool | str = False) -> Any:
        """Best strategy, fitted on all texts.

        Parameters
        ----------
        tune_threshold : bool or str, default=False
            Whether to tune the threshold of two classes by cross-validation, and on
            which metric; True is the main one. The estimator is then a
            :class:`~sklearn.model_selection.TunedThresholdClassifierCV`.

        Returns
        -------
        estimator : classifier
            Fitted; it predicts labels for texts.

        Raises
        ------
        InvalidParameterError
            If the comparison holds no estimators, or there are more than two classes
            and a threshold is to be tuned.
        """
        return self.estimator(self.best_strategy, tune_threshold)

    def estimator(self, strategy: str, tune_threshold: bool | str = False) -> Any:
        """Estimator of a strategy, fitted on all texts.

        Parameters
        ----------
        strategy : str
            Its name.
        tune_threshold : bool or str, default=False
            As in `best_estimator`.

        Returns
        -------
        estimator : classifier
            Fitted; it predicts labels for texts.

        Raises
        ------
        InvalidParameterError
            As there, or if there is no such strategy.
        """
        self._check_known(strategy, list(self.results["strategy"].unique()))
        if self._refit is None:
            raise InvalidParameterError(
                "this comparison holds results only and no estimators: take one from "
                "the comparison that compare_strategies returned."
            )
        check_parameters(
            {"tune_threshold": tune_threshold},
            {"tune_threshold": FLAG | instance(str, "the name of a metric")},
        )
        if tune_threshold and len(self.classes) != 2:
            raise InvalidParameterError(
                f"tune_threshold={tune_threshold!r}, but there are {len(self.classes)} "
                "classes, and a threshold lies between 2: pass False."
            )
        return self._refit(strategy, tune_threshold)

    def mistakes(self, strategy: str | None = None, n: int = 10) -> pd.DataFrame:
        """Most confident mistakes of a strategy, out of fold.

        Parameters
        ----------
        strategy : str or None, default=None
            None is the best one.
        n : int, default=10
            At most so many rows.

        Returns
        -------
        mistakes : DataFrame
            Columns ``row``, ``text``, ``label``, ``predicted`` and ``probability``, the
            probability that was given to the wrong label; most confident first.

        Raises
        ------
        InvalidParameterError
            If there are no predictions of that name, or `n` is below 1.
        """
        check_parameters({"n": n}, {"n": whole(1)})
        table = self._predictions_of(strategy)
        return find_mistakes(table, self.texts, self.classes.tolist(), n)

    def suspects(self, n: int | None = 20) -> pd.DataFrame:
        """Texts whose labels look wrong to all good strategies together, out of fold.

        The probability of the label ranks them. It is the product of what strategies
        say, with a temperature and a weight for each that make the labels most likely
        if a share of them is wrong.

        Parameters
        ----------
        n : int or None, default=20
            At most so many rows; None is all texts of which the strategies together
            hold another label for more probable.

        Returns
        -------
        suspects : DataFrame
            The most doubtful first: ``row``, ``text``, ``label``, ``suggested`` (the
            label that the strategies together hold for most probable), ``probability``
            (what they give the label that is there), ``n_against`` (how many of
            ``n_strategies`` have said another label), and a column
            ``said_by_<strategy>`` with the label that each has said, by weight.

        Raises
        ------
        InvalidParameterError
            If no strategy's probabilities tell anything of the labels, or `n` is below
            1.
        """
        check_parameters({"n": n}, {"n": exactly(None) | whole(1)})
        return find_suspects(
            self.predictions, self.texts, self.labels, self.classes.tolist(), n
        )

    def confidence(
        self, strategy: str | None = None, level: float = 0.9
    ) -> pd.DataFrame:
        """Return the accuracy of a strategy's labels from each confidence on.

        Parameters
        ----------
        strategy : str or None, default=None
            None is the best one.
        level : float, default=0.9
            How sure ``least_accuracy`` is, in each row alone.

        Returns
        -------
        table : DataFrame
            A row for about each tenth of the texts: ``confidence`` (probability of the
            label, at least), ``share`` of texts, ``accuracy`` of their labels, and
            ``least_accuracy``, what that may be among all texts.

        Raises
        ------
        InvalidParameterError
            If there are no predictions of that name, or they have no probabilities.
        """
        return list_confidences(self.confidence_table(strategy), level)

    def confidence_table(self, strategy: str | None = None) -> ConfidenceTable:
        """Return from which confidence on labels are as accurate as you ask.

        Parameters
        ----------
        strategy : str or None, default=None
            None is the best one.

        Returns
        -------
        table : ConfidenceTable
            ``table.promise(0.95)`` has the threshold for an accuracy of 95 %, and the
            share of texts that reach it. See
            :func:`~sktransfer.statistics.confidence_table`.

        Raises
        ------
        InvalidParameterError
            As in `confidence`.
        """
        predictions = self._predictions_of(strategy)
        return tabulate_confidences(predictions, self.classes.tolist(), self.bound)

    def label_sets(
        self,
        coverage: float = 0.9,
        strategy: str | None = None,
        by_class: bool = False,
    ) -> LabelSets:
        """Return which labels a text may have, so that the right one is among them.

        Parameters
        ----------
        coverage : float, default=0.9
            Share of new texts whose set shall hold the right label.
        strategy : str or None, default=None
            None is the best one.
        by_class : bool, default=False
            Whether that shall be so among the texts of each class.

        Returns
        -------
        sets : LabelSets
            ``sets.of(model.predict_proba(texts))`` has the sets of new texts, for a
            model of that strategy. See :func:`~sktransfer.statistics.label_sets`.

        Raises
        ------
        InvalidParameterError
            As in `confidence`, or if `coverage` is not between 0 and 1.
        """
        predictions = self._predictions_of(strategy)
        classes = self.classes.tolist()
        check_parameters({"by_class": by_class}, {"by_class": FLAG})
        return find_sets(predictions, classes, self.bound, coverage, by_class)

    def to_markdown(self) -> str:
        """Return the table of results as Markdown, best first, and the verdicts.

        Returns
        -------
        markdown : str
        """
        return to_markdown(self.results, self.scoring, self.verdicts)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the whole table of results to a file, in UTF-8.

        Parameters
        ----------
        path : path-like
            The file; it is written beside and renamed.
        """
        with on_disk("path", path):
            write_csv(self.results, Path(path).expanduser())

    def save_predictions(
        self,
        path: str | os.PathLike[str],
        *,
        texts: bool = True,
        overwrite: bool = False,
    ) -> Path:
        """Write all predictions to a file that `load_predictions` reads.

        It has what `compare_predictions` takes: labels, predictions with their folds
        and repeats, which texts belong together, the metric, the baseline and what the
        rows cost. The source domain, learning curves, estimators, and rows without
        predictions are not in it.

        Parameters
        ----------
        path : path-like
            The file, JSON lines in UTF-8. It is written beside and renamed.
        texts : bool, default=True
            Whether the texts are written, too; they may be private. Without them rows
            are named by their number.
        overwrite : bool, default=False
            Whether a file is replaced that holds no such predictions.

        Returns
        -------
        path : pathlib.Path
            The file.

        Raises
        ------
        InvalidParameterError
            If another file is there and `overwrite` is false. It stays.
        InvalidInputError
            If there are no predictions, or labels that JSON cannot hold.
        """
        check_parameters(
            {"texts": texts, "overwrite": overwrite},
            {"texts": FLAG, "overwrite": FLAG},
        )
        with on_disk("path", path):
            place = Path(path).expanduser()
            return write_predictions(
                self, place, texts=bool(texts), overwrite=bool(overwrite)
            )

    def _predictions_of(self, strategy: str | None) -> pd.DataFrame:
        strategy = self.best_strategy if strategy is None else strategy
        self._check_known(strategy, list(self.predictions))
        return self.predictions[strategy]

    def _check_known(self, strategy: str, known: list[str]) -> None:
        if not one_of(*known).accepts(strategy):
            raise InvalidParameterError(
                f"strategy={show(strategy)} is not in this comparison: one of {known} "
                f"is expected.{did_you_mean(strategy, known)}"
            )

    def __repr__(self) -> str:
        n = self.results["strategy"].nunique()
        n_texts, metric = len(self.texts), self.scoring
        head = f"StrategyComparison of {n} strategies on {n_texts} texts, {metric}"
        head += f" ({self.scoring_reason})" if self.scoring_reason else ""
        return f"{head}\n\n{self.to_markdown()}"

    def _repr_html_(self) -> str:
        return to_html(self.results, self.scoring, self.verdicts)
