"""compare_strategies: named estimators under one cross-validation.

It checks what the user gives. What needs no choice runs first, then an encoder is
chosen, then what starts from it runs.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from sktransfer.baselines.registry import GUESSING
from sktransfer.classifier.data.checks import check_labels
from sktransfer.comparison.checks.facts import gather
from sktransfer.comparison.checks.registry import (
    data_findings,
    result_findings,
    tabulate,
)
from sktransfer.comparison.findings.refitting import Refit
from sktransfer.comparison.findings.sentences import tell
from sktransfer.comparison.findings.summary import Choice, Summary, choose_leader
from sktransfer.comparison.result import StrategyComparison
from sktransfer.comparison.run.evaluation import Scoring
from sktransfer.comparison.run.journal import (
    check_candidates,
    draw_seed,
    open_journal,
)
from sktransfer.comparison.run.preparation import (
    EncodingCosts,
    SourceModels,
    check_source,
    choose_cache,
    measure_distance,
    share_vectors,
    unshare_vectors,
)
from sktransfer.comparison.run.schedule import (
    Data,
    Race,
    Schedule,
    describe_data,
)
from sktransfer.comparison.setup.candidates import Candidate, Grid, Lineup
from sktransfer.comparison.setup.folds import (
    Splits,
    bind_rows,
    check_groups,
    choose_sizes,
    make_folds,
)
from sktransfer.comparison.setup.named_encoders import Encoders
from sktransfer.comparison.setup.named_strategies import (
    Setting,
    choose_baseline,
    choose_candidates,
)
from sktransfer.estimators import Encoder
from sktransfer.exceptions import (
    InvalidInputError,
    SktransferWarning,
    TrainingError,
    TruncationWarning,
    warn,
)
from sktransfer.packages import require_extra
from sktransfer.texts import check_texts
from sktransfer.validation import (
    CALLBACK,
    FLAG,
    PATH,
    RANDOM_STATE,
    VERBOSE,
    Rule,
    check_parameters,
    exactly,
    instance,
    on_disk,
    one_of,
    whole,
)

__all__ = ["compare_strategies"]

_RULES = {
    "baseline": instance((str, type(None)), "'auto', None or the name of a strategy"),
    "n_repeats": whole(1),
    "param_grids": instance((Mapping, type(None)), "None or a dict of names to grids"),
    "max_source": exactly(None) | whole(2, "texts"),
    "time_budget": exactly(None)
    | Rule(
        lambda value: (
            isinstance(value, Real) and not isinstance(value, bool) and float(value) > 0
        ),
        "a positive number of seconds",
    ),
    "threshold": one_of(None, "balanced"),
    "race": FLAG,
    "folder": exactly(None) | PATH,
    "n_jobs": Rule(
        lambda value: (
            value is None
            or (
                isinstance(value, Integral)
                and not isinstance(value, bool)
                and value != 0
            )
        ),
        "None, a whole number of at least 1, or -1 for all cores,",
    ),
    "random_state": RANDOM_STATE,
    "verbose": VERBOSE,
    "on_result": CALLBACK,
    "on_forecast": CALLBACK,
    "on_finding": CALLBACK,
}


def compare_strategies(
    X: Iterable[str],
    y: npt.ArrayLike,
    *,
    strategies: Mapping[str, object] | Iterable[str] | None = None,
    baseline: str | None = "auto",
    source: tuple[Iterable[str], npt.ArrayLike] | None = None,
    groups: Collection[object] | None = None,
    cv: Splits = 5,
    n_repeats: int = 1,
    train_sizes: Iterable[float] | None = None,
    scoring: str | Callable[..., float] = "auto",
    threshold: str | None = None,
    param_grids: Mapping[str, Grid] | None = None,
    encoder: Encoders = "auto",
    max_source: int | None = 500,
    time_budget: float | None = None,
    race: bool = False,
    folder: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
    on_result: Callable[[dict[str, Any]], object] | None = None,
    on_forecast: Callable[[list[dict[str, Any]]], object] | None = None,
    on_finding: Callable[[dict[str, Any]], object] | None = None,
) -> StrategyComparison:
    """Cross-validate transfer strategies and baselines on the same folds.

    Copies of a text, and texts of one group, are never on both sides of a split. Each
    text goes through each frozen encoder once, however many strategies and folds there
    are. Cheap strategies come first; one that fails becomes a row with its error.

    Parameters
    ----------
    X : iterable of str, of length n
        Texts of the target domain.
    y : array-like of shape (n,)
        Their labels.
    strategies : None, list of str, or dict of str to classifier or str, default=None
        What to compare. None chooses by the language of the texts and by what is
        installed. Names stand for defaults: "majority", "tfidf", "nbsvm", "vader"
        (English), "snownlp" (Chinese), "word_vectors", "word_vectors_tuned", "frozen",
        "frozen_64_32", "partial", "gradual", "lora", "contrastive", "fine_tune" and,
        with a source, "source_only", "joint" and "transferred". A dict also takes
        classifiers for texts; with a source each of them is compared with what it makes
        of the source, too. See `encoder` for what several encoders make of the names.
        "fine_tune" has a linear head that learns first, and stops at no early epoch.
    baseline : str or None, default="auto"
        Strategy that the others are tested against. "auto" is "tfidf", which then
        takes part in any case, as does "majority". "frozen" is that of the encoder
        which leads. None tests nothing.
    source : tuple of (iterable of str, array-like) or None, default=None
        Texts and labels of a source domain. Texts that are in X, too, are left out.
    groups : array-like of shape (n,) or None, default=None
        Texts of one group stay together, as sentences of one review have to.
    cv : int, splitter or iterable of (train, test), default=5
        Number of stratified folds, or what makes them.
    n_repeats : int, default=1
        How often the folds are drawn anew, where `cv` is a number.
    train_sizes : iterable of int or float, or None, default=None
        Learning curves: numbers of labelled texts, or shares of the training part as
        floats. Smaller parts are inside of the larger ones and stratified. None trains
        on whole training parts only.
    scoring : "auto", str or callable, default="auto"
        Main metric, as in scikit-learn; the greater the better. "auto" is accuracy, or
        balanced accuracy where classes are skewed: where one has more than 70 % of the
        texts, or less than half of its even share, 1 / n_classes. Accuracy, balanced
        accuracy and macro F1 are told beside it in any case.
    threshold : "balanced" or None, default=None
        How strategies label. None is the most probable class, which a rare one seldom
        is. "balanced" is the class whose probability is the largest multiple of its
        share of the training texts; of two classes, the rarer one from its share on
        instead of from one half. It is for balanced accuracy and costs accuracy. Rows
        that have it say so in a column; guesses, strategies without probabilities, and
        what learns from the source alone do without.
    param_grids : dict of str to grid or None, default=None
        For strategies of these names, parameters to search within each training part
        (nested cross-validation). "frozen" means the rows of all encoders.
    encoder : "auto", str, path-like, BertFeaturizer, or list of them, default="auto"
        Transformers of the default strategies. "auto" is all named ones that are on
        this machine: the packaged ones, and a few public ones of BERT's base size where
        the hub's local cache has them; no network is asked. With several, "frozen" is a
        row for each, as "frozen (all-MiniLM-L6-v2)", and all other strategies with a
        transformer start from the one whose row leads at the largest train size. So
        these rows run even where "frozen" is not named.
    max_source : int or None, default=500
        At most so many source texts are used, drawn at random; None is all of them.
    time_budget : float or None, default=None
        Seconds for all that runs. What would end later, by its earlier folds or by a
        forecast, is not begun, and becomes rows with the status "skipped". Time is left
        for `StrategyComparison.best_estimator`. With a budget, encoders that cannot be
        told apart from the one that leads are tuned, too, after it, as "fine_tune
        (all-MiniLM-L6-v2)".
    race : bool, default=False
        Whether to leave out folds that are not going to change which strategy is best.
        All strategies run their first folds before any runs a second one, small train
        sizes first. Those that have fallen behind, and will not catch up by all that
        is known, get the status "stopped". Neither the baseline nor "majority" does.
    folder : path-like or None, default=None
        Keep a journal of finished folds, vectors and source models there. The same
        call goes on where an earlier one stopped, be it by kill -9; more strategies may
        be added. What failed or was skipped is tried again.
    n_jobs : int or None, default=None
        Folds that run at the same time, as in scikit-learn. Networks use several cores
        anyway.
    random_state : int, RandomState instance or None, default=None
        Folds, subsets, and every ``random_state`` of a strategy that is None.
    verbose : int, default=0
        1 writes a line for each row to the standard error.
    on_result : callable or None, default=None
        Called whenever a row has moved on, with a dict: "strategy", "kind",
        "train_size", "status" ("running", or as in the results), "error", "n_folds",
        "n_folds_planned" and the means so far, "score", "fit_seconds" and
        "predict_seconds".
    on_forecast : callable or None, default=None
        Called once, before the first fold, with a list of what each strategy will take,
        as dicts: "strategy", "n_folds" (still to be run), "seconds" (by the clock, NaN
        where nobody knows), "basis" ("measured" by folds of an earlier run, "estimated"
        from what encoders take for a few texts, or "unknown") and "fits" (whether the
        time budget suffices).
    on_finding : callable or None, default=None
        Called before anything is trained with each thing that is wrong with the data, a
        dict as a row of `StrategyComparison.checks`.

    Returns
    -------
    comparison : StrategyComparison
        Tables, predictions out of fold, and what follows in plain sentences.

    Raises
    ------
    InvalidInputError
        If texts, labels, groups or the source cannot be used.
    InvalidParameterError
        If a parameter is out of range, or `folder` holds another comparison.
    CheckpointError
        If the weights of an encoder that was named are nowhere, or cannot be read.
    MissingExtraError
        If pandas, or what a strategy that was named needs, is not installed.

    See Also
    --------
    TransferSentimentClassifier : What the strategies with networks are.
    sklearn.model_selection.GridSearchCV : Searches parameters of one estimator.

    Notes
    -----
    The encoder to start from is chosen on the folds that the strategies are compared
    on. That flatters those that start from it a little: the highest of a few scores is
    too high on average, the more so the fewer labelled texts there are.

    Vectors of frozen encoders are made beforehand, and each strategy's seconds include
    what encoding its texts took. The model of the source is trained once; its seconds
    are in those of "source_only".

    Texts a second are those of a warm model that labels new texts, tokenizing, encoding
    and head included. They are measured once a strategy, for about a second, in this
    process with no folds beside it, on texts that are made from the words of X and are
    as long. These seconds are in no other column, but `time_budget` includes them.

    Examples
    --------
    >>> from sktransfer import compare_strategies, load_mini_reviews
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> comparison = compare_strategies(
    ...     texts,
    ...     labels,
    ...     strategies=["tfidf", "frozen"],
    ...     encoder=["all-MiniLM-L6-v2", "multilingual-e5-small"],
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> comparison.best_strategy
    'frozen (multilingual-e5-small)'
    >>> comparison.encoders["encoder"].tolist()
    ['multilingual-e5-small', 'all-MiniLM-L6-v2']
    """
    require_extra("pandas", "compare", "compare_strategies")
    started = time.monotonic()
    texts = check_texts(X)
    labels = check_labels(y, len(texts))
    check_parameters(
        {
            "baseline": baseline,
            "n_repeats": n_repeats,
            "param_grids": param_grids,
            "max_source": max_source,
            "time_budget": time_budget,
            "threshold": threshold,
            "race": race,
            "folder": folder,
            "n_jobs": n_jobs,
            "random_state": random_state,
            "verbose": verbose,
            "on_result": on_result,
            "on_forecast": on_forecast,
            "on_finding": on_finding,
        },
        _RULES,
    )
    check_groups(groups, len(texts))
    place = None if folder is None else Path(folder).expanduser()
    seed = draw_seed(random_state, place)
    if len(np.unique(labels)) < 2:
        raise InvalidInputError(
            f"y holds the class {labels.tolist()[0]!r} only, but at least 2 are "
            "needed: there is nothing to tell apart."
        )
    data = _split(texts, labels, groups, cv, n_repeats, train_sizes, scoring, seed)
    domain = None
    if source is not None:
        domain = check_source(source, texts, max_source=max_source, seed=seed)
    setting = Setting(texts, encoder, domain is not None)
    lineup = choose_candidates(strategies, baseline, param_grids, setting, threshold)
    if domain is not None and all(c.use is None for c in lineup.possible):
        warn(
            "source is given, but no strategy that is compared learns from it: add "
            "'source_only', 'joint' or 'transferred' to strategies.",
            SktransferWarning,
        )
    baseline = choose_baseline(baseline, lineup)
    facts = gather(data, groups=groups, source=domain, candidates=lineup.possible)
    found = data_findings(facts)
    if on_finding is not None:
        for finding in found:
            on_finding(finding.as_row())
    with ExitStack() as stack:
        # Said of the texts, once; each fold would say it of its own part.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", TruncationWarning)
        settings = describe_data(data, domain)
        with nullcontext() if place is None else on_disk("folder", str(place)):
            journal = stack.enter_context(open_journal(place, settings))
        check_candidates(lineup.possible, journal)
        cache = choose_cache(place, n_jobs, stack)
        models = None if place is None else place / "sources"
        known = journal.seconds("source")
        sources = SourceModels(domain, data.classes, seed, models, known)
        read = texts if domain is None else [*texts, *domain.texts]
        schedule = Schedule(
            data,
            journal,
            sources,
            EncodingCosts(read, journal.seconds("encoder")),
            n_jobs=n_jobs,
            deadline=None if time_budget is None else started + time_budget,
            on_result=on_result,
            verbose=verbose,
            race=_find_race(lineup, baseline) if race else None,
        )
        share = partial(share_vectors, cache=cache)
        if on_forecast is not None or time_budget is not None:
            schedule.look_ahead(share(lineup.possible))
            expected = schedule.expect(share(lineup.dearest()))
            if on_forecast is not None:
                on_forecast([asdict(row) for row in expected])
        ran = _run(schedule, lineup, share)
        distance = measure_distance(ran.encoder, texts, domain, seed)
    baseline = lineup.resolve(baseline, ran.choice.leader)
    why = f"the time budget of {time_budget} seconds was used up"
    encoders = [row for row in lineup.evidence.values() if row is not None]
    summary = Summary(
        data, ran.candidates, ran.outcomes, baseline, why, encoders, schedule.gaps
    )
    results = summary.results()
    results["texts_per_second"] = schedule.speeds.column(results, ran.candidates)
    refit, chosen = Refit(data, ran.sharing, sources, cache), ran.encoder
    if place is None:
        # A folder of vectors, if there was one, is gone.
        refit = Refit(data, ran.candidates, sources)
        if cache is not None and chosen is not None:
            chosen = unshare_vectors(clone(chosen), cache)
    folds, predictions = summary.folds(), summary.predictions()
    facts = replace(
        facts,
        predictions=predictions,
        scores=folds,
        baseline=baseline,
        distance=distance,
    )
    return StrategyComparison(
        results,
        folds,
        predictions,
        classes=data.classes,
        texts=texts,
        labels=labels,
        scoring=data.scoring.name,
        scoring_reason=data.scoring.reason,
        baseline=baseline,
        source=None if domain is None else (domain.texts, domain.labels),
        verdicts=tell(summary, results, distance, ran.choice),
        domain_distance=distance,
        encoder=chosen,
        encoders=ran.choice.table(),
        checks=tabulate([*found, *result_findings(facts)]),
        refit=refit,
        bound=data.bound,
    )


def _split(
    texts: list[str],
    labels: npt.NDArray[Any],
    groups: Collection[object] | None,
    cv: Splits,
    n_repeats: int,
    train_sizes: Iterable[float] | None,
    scoring: str | Callable[..., float],
    seed: int,
) -> Data:
    """Folds and sizes that all strategies have in common."""
    grouped = None if groups is None else list(groups)
    bound = bind_rows(texts, grouped)
    folds = make_folds(
        labels, bound, cv=cv, n_repeats=n_repeats, groups=grouped, seed=seed
    )
    classes = np.unique(labels)
    sizes = choose_sizes(train_sizes, folds, len(classes))
    metric = Scoring.resolve(scoring, labels)
    return Data(texts, labels, classes, bound, folds, sizes, metric, seed)


def _find_race(lineup: Lineup, baseline: str | None) -> Race:
    """Who is never stopped, and by whom an encoder is chosen."""
    protected = {GUESSING, baseline}
    protected |= {lineup.resolve(baseline, encoder) for encoder in lineup.encoders}
    chosen_by = {name for name in lineup.evidence.values() if name is not None}
    return Race(
        protected={name for name in protected if name is not None},
        encoders=chosen_by if lineup.followers else (),
    )


@dataclass(frozen=True)
class _Run:
    """How a comparison went.

    Attributes
    ----------
    candidates : list of Candidate
        In the order in which they ran.
    sharing : list of Candidate
        The same, as they ran.
    outcomes : dict of (name, size) to list of dict
        From `Schedule.run`.
    choice : Choice
        Which encoder led.
    encoder : BertFeaturizer or None
        That one, as it ran; where none led, the first whose vectors were made.
    """

    candidates: list[Candidate]
    sharing: list[Candidate]
    outcomes: dict[tuple[str, int], list[dict[str, Any]]]
    choice: Choice
    encoder: Encoder | None


def _run(
    schedule: Schedule,
    lineup: Lineup,
    share: Callable[[list[Candidate]], list[Candidate]],
) -> _Run:
    """Run a line-up, of which `share` makes candidates find each other's vectors.

    With a deadline, encoders that could not be told apart from the leader are tuned
    after it.
    """
    candidates, sharing = list(lineup.first), share(lineup.first)
    outcomes = schedule.run(sharing)
    choice = choose_leader(
        Summary(schedule.data, candidates, outcomes, None, gaps=schedule.gaps),
        lineup.evidence,
    )
    rivals = choice.rivals if schedule.deadline is not None else []
    error = None
    if choice.failure:
        error = TrainingError(
            "there is no encoder to start from, as none has frozen features: "
            + choice.failure
        )
    for stage in lineup.rest(choice.leader, rivals):
        shared = share(stage)
        outcomes |= schedule.run(shared, error)
        candidates, sharing = candidates + stage, sharing + shared
    # The leader's own rows first.
    ordered = sorted(sharing, key=lambda c: c.encoder != choice.leader)
    encoder = schedule.costs.find_encoder(c.estimator for c in ordered)
    return _Run(candidates, sharing, outcomes, choice, encoder)
