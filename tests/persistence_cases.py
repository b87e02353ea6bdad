"""Models in which others stand, to be saved, loaded and asked in another process.

Each case is a wrapper of scikit-learn around a classifier of texts or of numbers, or a
wrapper of wrappers. It is fitted within milliseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import loguniform, randint
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
)
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import (
    CountVectorizer,
    TfidfVectorizer,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SequentialFeatureSelector,
)
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import (
    BayesianRidge,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    fbeta_score,
    get_scorer,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RandomizedSearchCV,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC

from sktransfer.baselines.nbsvm import nbsvm_baseline
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

__all__ = ["CASES", "LABELS", "METADATA", "ROWS", "Case"]

_N = 24
_rng = np.random.default_rng(0)
_POSITIVE = np.arange(_N) % 2 == 0
_WORDS = ["good", "lovely", "bad", "awful", "film", "plot", "the", "a"]
TEXTS = [
    " ".join([*_rng.choice(_WORDS[:2] if good else _WORDS[2:4], 2), *rest])
    for good, rest in zip(_POSITIVE, _rng.choice(_WORDS[4:], (_N, 2)), strict=True)
]
NUMBERS = _rng.normal(size=(_N, 3)) + _POSITIVE[:, None]
TWO = np.where(_POSITIVE, "pos", "neg")
THREE = np.array(["neg", "none", "pos"] * (_N // 3))
GROUPS = np.repeat(np.arange(_N // 4), 4)

ROWS: dict[str, Any] = {
    "texts": TEXTS,
    "numbers": NUMBERS,
    "table": pd.DataFrame(
        {"text": TEXTS, "stars": NUMBERS[:, 0], "shop": ["a", "b", "c"] * (_N // 3)}
    ),
    "named": pd.DataFrame(NUMBERS, columns=["x", "y", "z"]),
}
LABELS: dict[str, Any] = {
    "two": TWO,
    "three": THREE,
    # Some rows without a label.
    "some": np.where(np.arange(_N) % 4, _POSITIVE, -1).astype(int),
    "both": np.column_stack([_POSITIVE, THREE == "pos"]).astype(int),
    "stars": np.exp(NUMBERS[:, 0]),
}
METADATA = {
    "sample_weight": np.linspace(0.5, 1.5, _N),
    "groups": GROUPS,
    "shops": GROUPS,
    "trust": np.linspace(1.5, 0.5, _N),
}


@dataclass(frozen=True)
class Case:
    """A model that is saved.

    Attributes
    ----------
    build : callable
        Given the folder of a tiny BERT, returns what is to be fitted.
    rows, labels : str
        Names in ROWS and in LABELS.
    metadata : dict of str to tuple of str or None
        What each method is given of METADATA, with metadata routing enabled; None for
        as it is by default, without.
    refits : bool
        Whether a clone is fitted too: not where the case needs what was fitted before,
        nor where it would take longer than all it tells.
    """

    build: Callable[[Path], Any]
    rows: str = "texts"
    labels: str = "two"
    metadata: Mapping[str, tuple[str, ...]] | None = None
    refits: bool = True


linear = functools.partial(LogisticRegression, random_state=0)
ours = functools.partial(
    TransferSentimentClassifier,
    hidden_layer_sizes=(),
    max_epochs=1,
    random_state=0,
    device="cpu",
)


def tfidf(model: Any = None) -> Pipeline:
    """Counts of words, weighted, in front of a model."""
    return make_pipeline(TfidfVectorizer(), linear() if model is None else model)


def counts() -> Pipeline:
    """Counts of words in front of naive Bayes."""
    return make_pipeline(CountVectorizer(), MultinomialNB())


def words(**parameters: Any) -> WordVectorFeaturizer:
    """Means of toy vectors of words."""
    matrix = np.random.default_rng(1).normal(size=(len(_WORDS), 4))
    return WordVectorFeaturizer(WordVectors(_WORDS, matrix), **parameters)


def bert(weights: Path) -> BertFeaturizer:
    """Vectors of a tiny BERT."""
    return BertFeaturizer(str(weights), dtype="float32", device="cpu")


def tune(one: Any, **parameters: Any) -> TunedThresholdClassifierCV:
    """A classifier with the best of five thresholds."""
    defaults = {"cv": 2, "thresholds": 5, "random_state": 0}
    return TunedThresholdClassifierCV(one, **defaults | parameters)


def vote(*models: Any, **parameters: Any) -> VotingClassifier:
    """Several classifiers with a voice each."""
    return VotingClassifier([(f"m{i}", m) for i, m in enumerate(models)], **parameters)


def stack(*models: Any, **parameters: Any) -> StackingClassifier:
    """Several classifiers, and one above them."""
    named = [(f"m{i}", m) for i, m in enumerate(models)]
    return StackingClassifier(named, **{"cv": 2} | parameters)


def case(build: Callable[..., Any], *arguments: str, **parameters: Any) -> Case:
    """A case whose model needs no BERT."""
    return Case(lambda weights: build(), *arguments, **parameters)


def numeric(build: Callable[[], Any], *arguments: str, **parameters: Any) -> Case:
    """A case of numbers."""
    return case(build, "numbers", *arguments, **parameters)


# Rows of folds, as `comparison` makes them where some rows belong together.
FOLDS = [
    (np.flatnonzero(part == GROUPS % 2), np.flatnonzero(part != GROUPS % 2))
    for part in (0, 1)
]
SPLITTERS: dict[str, Any] = {
    "StratifiedKFold shuffled": StratifiedKFold(2, shuffle=True, random_state=0),
    "KFold": KFold(2, shuffle=True, random_state=0),
    "ShuffleSplit": ShuffleSplit(2, test_size=0.5, random_state=0),
    "StratifiedShuffleSplit": StratifiedShuffleSplit(1, random_state=0),
    "RepeatedStratifiedKFold": RepeatedStratifiedKFold(
        n_splits=2, n_repeats=2, random_state=0
    ),
    "PredefinedSplit": PredefinedSplit(GROUPS % 2),
    "list of rows": FOLDS,
    "float": 0.5,
}
GROUPED: dict[str, Any] = {
    "GroupKFold": GroupKFold(2),
    "LeaveOneGroupOut": LeaveOneGroupOut(),
    "StratifiedGroupKFold": StratifiedGroupKFold(2),
}
F1 = make_scorer(f1_score, pos_label="neg")
SCORERS: dict[str, Any] = {
    "name": "f1_macro",
    "name of probabilities": "neg_log_loss",
    "object of a name": get_scorer("balanced_accuracy"),
    "other label": F1,
    "beta": make_scorer(fbeta_score, beta=2, pos_label="pos"),
    "loss": make_scorer(
        brier_score_loss,
        greater_is_better=False,
        response_method="predict_proba",
        pos_label="pos",
    ),
    "two ways to answer": make_scorer(
        roc_auc_score, response_method=("decision_function", "predict_proba")
    ),
}
_DISTRIBUTIONS = {"C": loguniform(0.1, 10), "max_iter": randint(90, 110)}


def _searched(cv: Any, **parameters: Any) -> Pipeline:
    search = GridSearchCV(linear(), {"C": [0.5]}, cv=cv, **parameters)
    return make_pipeline(MinMaxScaler(), search)


def _texts_beside_numbers(**parameters: Any) -> ColumnTransformer:
    parts = [
        ("words", TfidfVectorizer(), "text"),
        ("numbers", StandardScaler(), ["stars"]),
        ("shops", OneHotEncoder(), ["shop"]),
    ]
    return ColumnTransformer(parts, **parameters)


_ROUTED = {"fit": ("sample_weight",), "score": ("sample_weight",)}


def _asking(model: Any, *methods: str, **requests: Any) -> Any:
    """A model that asks for metadata, which are sample weights where none is said."""
    for method in methods or ("fit", "score"):
        request = getattr(model, f"set_{method}_request")
        request(**(requests or {"sample_weight": True}))
    return model


def _everything_asked() -> Pipeline:
    """Searches, thresholds and stacks, all of which pass weights on."""
    inner = _asking(linear())
    scorer = _asking(make_scorer(f1_score, pos_label="pos"), "score")
    calibrated = CalibratedClassifierCV(inner, cv=StratifiedKFold(2))
    stacked = stack(_asking(calibrated), _asking(GaussianNB()), final_estimator=inner)
    search = GridSearchCV(
        tune(stacked, scoring=scorer, cv=0.25),
        {"thresholds": [5]},
        cv=GroupShuffleSplit(1, test_size=0.25, random_state=0),
        scoring=scorer,
    )
    return make_pipeline(_asking(StandardScaler(), "fit"), search)


_PLAIN: dict[str, Case] = {
    # One wrapper.
    "pipeline": case(tfidf),
    "pipeline of naive Bayes": case(counts),
    "pipeline with a step left out": case(
        lambda: Pipeline(
            [("w", TfidfVectorizer()), ("s", "passthrough"), ("c", linear())]
        )
    ),
    "pipeline of few dimensions": case(
        lambda: make_pipeline(
            TfidfVectorizer(), TruncatedSVD(2, random_state=0), linear()
        )
    ),
    "pipeline of a network": case(lambda: tfidf(MLPClassifier((2,), random_state=0))),
    "pipeline of ours": numeric(lambda: make_pipeline(StandardScaler(), ours())),
    "pipeline that tells the spread": numeric(
        lambda: make_pipeline(StandardScaler(), BayesianRidge()), "stars"
    ),
    "pipeline of words": case(lambda: make_pipeline(words(), linear())),
    "union": case(
        lambda: make_pipeline(make_union(TfidfVectorizer(), words()), linear())
    ),
    "union with weights": case(
        lambda: make_pipeline(
            FeatureUnion(
                [("a", TfidfVectorizer()), ("b", CountVectorizer()), ("c", "drop")],
                transformer_weights={"a": 2.0},
            ),
            linear(),
        )
    ),
    "union alone": numeric(lambda: make_union(StandardScaler(), MinMaxScaler())),
    "columns": case(lambda: make_pipeline(_texts_beside_numbers(), linear()), "table"),
    "columns by their type": case(
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("words", TfidfVectorizer(), "text"),
                    ("rest", StandardScaler(), make_column_selector("^st")),
                    (
                        "numbers",
                        "passthrough",
                        make_column_selector(dtype_include="number"),
                    ),
                ]
            ),
            linear(),
        ),
        "table",
    ),
    "columns with names": case(
        lambda: ColumnTransformer(
            [("a", StandardScaler(), ["x"])], remainder=MinMaxScaler()
        ).set_output(transform="pandas"),
        "named",
    ),
    "grid": case(
        lambda: GridSearchCV(tfidf(), {"logisticregression__C": [1, 2]}, cv=2)
    ),
    "random": case(
        lambda: tfidf(
            RandomizedSearchCV(linear(), _DISTRIBUTIONS, n_iter=2, cv=2, random_state=0)
        )
    ),
    "halving": case(
        lambda: tfidf(
            HalvingGridSearchCV(
                linear(), {"C": [1, 2]}, cv=2, min_resources=12, random_state=0
            )
        )
    ),
    "halving at random": case(
        lambda: tfidf(
            HalvingRandomSearchCV(
                linear(),
                [_DISTRIBUTIONS, {"C": [1, 2]}],
                cv=2,
                min_resources=12,
                n_candidates=2,
                random_state=0,
            )
        )
    ),
    "grid of several scores": case(
        lambda: tfidf(
            GridSearchCV(
                linear(),
                {"C": [1, 2]},
                cv=2,
                scoring={"a": "accuracy", "b": make_scorer(balanced_accuracy_score)},
                refit="b",
            )
        )
    ),
    "grid of estimators": numeric(
        lambda: vote(
            GridSearchCV(
                Pipeline([("s", StandardScaler()), ("c", linear())]),
                {"c": [linear(C=2.0), ours()], "s": ["passthrough"]},
                cv=StratifiedShuffleSplit(1, random_state=0),
            ),
            linear(),
        )
    ),
    **{
        f"calibrated {method} {ensemble}": case(
            lambda method=method, ensemble=ensemble: CalibratedClassifierCV(
                tfidf(), method=method, ensemble=ensemble, cv=2
            ),
            labels=labels,
        )
        for method, ensemble, labels in (
            ("sigmoid", "auto", "two"),
            ("sigmoid", False, "three"),
            ("isotonic", True, "three"),
            ("isotonic", False, "two"),
            ("temperature", True, "three"),
            ("temperature", False, "two"),
        )
    },
    "calibrated frozen": case(
        lambda: CalibratedClassifierCV(FrozenEstimator(tfidf().fit(TEXTS, TWO)))
    ),
    "calibrated margins": case(
        lambda: CalibratedClassifierCV(tfidf(LinearSVC()), cv=2), labels="three"
    ),
    "calibrated ours": numeric(
        lambda: CalibratedClassifierCV(
            ours(), cv=StratifiedKFold(2), method="temperature"
        ),
        refits=False,
    ),
    "fixed": case(
        lambda: FixedThresholdClassifier(
            tfidf(), threshold=0.6, pos_label="neg", response_method="predict_proba"
        )
    ),
    "tuned": case(lambda: tune(tfidf())),
    "tuned ours": numeric(lambda: tune(ours(), cv=0.5)),
    "tuned afterwards": numeric(
        lambda: tune(
            ours().fit(NUMBERS, TWO),
            cv="prefit",
            refit=False,
            thresholds=np.linspace(0.1, 0.9, 5),
        ),
        refits=False,
    ),
    "tuned with its results": case(
        lambda: tune(tfidf(), store_cv_results=True, cv=0.5)
    ),
    "stacking": case(lambda: stack(tfidf(), counts())),
    "stacking of numbers": numeric(
        lambda: stack(ours(), GaussianNB(), passthrough=True), refits=False
    ),
    "stacking afterwards": case(
        lambda: stack(tfidf().fit(TEXTS, TWO), cv="prefit"), refits=False
    ),
    "stacking of labels": case(
        lambda: stack(
            tfidf(RidgeClassifier()), "drop", counts(), stack_method="predict"
        ),
        labels="three",
    ),
    "voting hard": case(lambda: vote(tfidf(), counts())),
    "voting soft": case(
        lambda: vote(tfidf(), "drop", counts(), voting="soft", weights=[2, 1, 1]),
        labels="three",
    ),
    "bagging": case(lambda: tfidf(BaggingClassifier(linear(), 2, random_state=0))),
    "bagging ours": numeric(
        lambda: BaggingClassifier(ours(), 2, max_features=2, random_state=0),
        refits=False,
    ),
    "bagging with the rows left out": numeric(
        lambda: BaggingClassifier(linear(), 20, oob_score=True, random_state=0)
    ),
    "boosting": case(
        lambda: tfidf(AdaBoostClassifier(linear(), n_estimators=3, random_state=0)),
        labels="three",
    ),
    "one against the rest": case(lambda: OneVsRestClassifier(tfidf()), labels="three"),
    "one against the rest, many labels": case(
        lambda: OneVsRestClassifier(tfidf()), labels="both"
    ),
    "one against the rest of ours": numeric(lambda: OneVsRestClassifier(ours())),
    "one against one": case(
        lambda: tfidf(OneVsOneClassifier(linear())), labels="three"
    ),
    "codes": numeric(
        lambda: OutputCodeClassifier(ours(), random_state=1), "three", refits=False
    ),
    "chain of ours": numeric(lambda: ClassifierChain(ours()), "both", refits=False),
    "several outputs": case(lambda: MultiOutputClassifier(tfidf()), labels="both"),
    "chain": case(
        lambda: tfidf(ClassifierChain(linear(), random_state=0)), labels="both"
    ),
    "chain in an order": numeric(
        lambda: ClassifierChain(
            linear(), order=[1, 0], cv=KFold(2), chain_method="predict_proba"
        ),
        "both",
    ),
    "self-training": case(
        lambda: tfidf(SelfTrainingClassifier(linear(), max_iter=2)), labels="some"
    ),
    "self-training ours": numeric(
        lambda: SelfTrainingClassifier(ours(), max_iter=1), "some", refits=False
    ),
    "frozen": case(lambda: FrozenEstimator(tfidf().fit(TEXTS, TWO))),
    "frozen ours": numeric(lambda: FrozenEstimator(ours().fit(NUMBERS, TWO))),
    "target": numeric(
        lambda: TransformedTargetRegressor(
            make_pipeline(StandardScaler(), Ridge()), func=np.log, inverse_func=np.exp
        ),
        "stars",
    ),
    "target scaled": case(
        lambda: TransformedTargetRegressor(tfidf(Ridge()), transformer=MinMaxScaler()),
        labels="stars",
    ),
    "from a model": case(
        lambda: make_pipeline(
            TfidfVectorizer(), SelectFromModel(linear(), threshold="median"), linear()
        )
    ),
    "from a frozen model": numeric(
        lambda: make_pipeline(
            SelectFromModel(FrozenEstimator(linear().fit(NUMBERS, TWO))), ours()
        )
    ),
    "from a model fitted before": numeric(
        lambda: make_pipeline(
            SelectFromModel(linear().fit(NUMBERS, TWO), prefit=True, max_features=2),
            linear(),
        ),
        refits=False,
    ),
    "elimination": case(
        lambda: make_pipeline(
            TfidfVectorizer(), RFE(linear(), n_features_to_select=3), linear()
        )
    ),
    "elimination by folds": numeric(
        lambda: RFECV(linear(), cv=StratifiedKFold(2), scoring="f1_macro")
    ),
    "one feature after another": numeric(
        lambda: make_pipeline(
            SequentialFeatureSelector(
                GaussianNB(), n_features_to_select=2, cv=StratifiedKFold(2)
            ),
            ours(),
        )
    ),
    "function": numeric(
        lambda: make_pipeline(
            FunctionTransformer(
                np.arctan, inverse_func=np.tan, feature_names_out="one-to-one"
            ),
            linear(),
        )
    ),
    "targets of a column": case(
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("words", TfidfVectorizer(), "text"),
                    ("shops", TargetEncoder(random_state=0), ["shop"]),
                ]
            ),
            linear(),
        ),
        "table",
    ),
    "targets of three": case(
        lambda: ColumnTransformer([("s", TargetEncoder(random_state=0), ["shop"])]),
        "table",
        "three",
    ),
    "isotonic in a pipeline": case(
        lambda: make_pipeline(
            TfidfVectorizer(),
            TruncatedSVD(1, random_state=0),
            IsotonicRegression(out_of_bounds="clip"),
        ),
        labels="stars",
    ),
    "balanced threshold": case(lambda: BalancedThresholdClassifier(tfidf())),
    "naive Bayes of ours": case(lambda: nbsvm_baseline(TEXTS)),
    # Folds and scorers.
    **{
        f"tuned by {name}": case(lambda cv=cv: tune(counts(), cv=cv))
        for name, cv in SPLITTERS.items()
    },
    **{
        f"tuned for {name}": numeric(
            lambda scorer=scorer: tune(linear(), scoring=scorer)
        )
        for name, scorer in SCORERS.items()
        if "probabilities" not in name and "ways" not in name and name != "loss"
    },
    **{
        f"searched by {name}": numeric(lambda cv=cv: _searched(cv))
        for name, cv in {
            "LeaveOneOut": LeaveOneOut(),
            "RepeatedKFold": RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
            "TimeSeriesSplit": TimeSeriesSplit(2),
            "list of rows": FOLDS,
        }.items()
    },
    "searched for every score": numeric(
        lambda: _searched(2, scoring=SCORERS | {"text": "accuracy"}, refit="beta")
    ),
    "calibrated by folds": case(
        lambda: CalibratedClassifierCV(tfidf(), cv=StratifiedKFold(2))
    ),
    "stacking by folds": case(lambda: stack(tfidf(), cv=StratifiedKFold(2))),
    # Wrappers of wrappers.
    "tuned in a search": numeric(
        lambda: make_pipeline(
            StandardScaler(),
            GridSearchCV(tune(linear(), cv=2), {"scoring": ["accuracy", F1]}, cv=2),
        )
    ),
    "voting of searches": numeric(
        lambda: vote(
            GridSearchCV(
                ours(),
                {"random_state": [1]},
                cv=2,
                scoring=["accuracy"],
                refit="accuracy",
            ),
            linear(),
        ),
        refits=False,
    ),
    "search of a tuned calibrated stack": case(
        lambda: GridSearchCV(
            tune(
                CalibratedClassifierCV(
                    stack(tfidf(), counts(), final_estimator=linear()),
                    cv=StratifiedKFold(2),
                )
            ),
            {"cv": [StratifiedShuffleSplit(1, random_state=1)]},
            cv=StratifiedShuffleSplit(1, random_state=1),
        ),
        refits=False,
    ),
    "bagging of searches": case(
        lambda: tfidf(
            BaggingClassifier(
                GridSearchCV(linear(), {"C": [1, 2]}, cv=2), 2, random_state=0
            )
        )
    ),
    "rest of calibrated": case(
        lambda: OneVsRestClassifier(
            CalibratedClassifierCV(tfidf(), cv=2, method="temperature")
        ),
        labels="three",
    ),
    "stack of stacks": numeric(
        lambda: stack(
            stack(linear(), GaussianNB(), final_estimator=linear()),
            make_pipeline(StandardScaler(), vote(GaussianNB(), linear())),
            make_pipeline(StandardScaler(), ours()),
            final_estimator=tune(linear()),
        ),
        refits=False,
    ),
    "calibrated frozen search": case(
        lambda: CalibratedClassifierCV(
            FrozenEstimator(
                GridSearchCV(
                    tfidf(), {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]}, cv=2
                ).fit(TEXTS, TWO)
            ),
            method="isotonic",
        )
    ),
    "columns of columns": case(
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("inner", _texts_beside_numbers(), ["text", "stars", "shop"]),
                    ("words", make_pipeline(words(), StandardScaler()), "text"),
                ],
                verbose_feature_names_out=False,
            ),
            tune(linear()),
        ),
        "table",
    ),
    "chain of searches": numeric(
        lambda: MultiOutputClassifier(
            make_pipeline(StandardScaler(), GridSearchCV(linear(), {"C": [1, 2]}, cv=2))
        ),
        "both",
    ),
    "network of words, calibrated": case(
        lambda: CalibratedClassifierCV(ours(words(), strategy="fine_tune"), cv=2)
    ),
}

_BERT: dict[str, Case] = {
    "BERT in a pipeline": Case(lambda weights: make_pipeline(bert(weights), linear())),
    "BERT fine-tuned and calibrated": Case(
        lambda weights: CalibratedClassifierCV(
            ours(bert(weights), strategy="partial", n_trainable_layers=1),
            cv=StratifiedKFold(2),
        ),
        refits=False,
    ),
    "BERT in a stack": Case(
        lambda weights: stack(make_pipeline(bert(weights), linear()), tfidf())
    ),
}

_REQUESTING: dict[str, Case] = {
    "asking": numeric(lambda: _asking(linear()), metadata=_ROUTED),
    "asking for another name": numeric(
        lambda: make_pipeline(
            MinMaxScaler(), _asking(linear(), "fit", sample_weight="trust")
        ),
        metadata={"fit": ("trust",)},
    ),
    "asking ours": numeric(
        lambda: make_pipeline(_asking(StandardScaler(), "fit"), _asking(ours())),
        metadata=_ROUTED,
    ),
    "asking not": numeric(
        lambda: make_pipeline(
            StandardScaler(), _asking(ours(), "fit", sample_weight=False)
        ),
        metadata={},
    ),
    "asking a network": numeric(
        lambda: make_pipeline(
            MinMaxScaler(), _asking(MLPClassifier((2,), random_state=0))
        ),
        metadata=_ROUTED,
    ),
    "asking calibrated": case(
        lambda: CalibratedClassifierCV(
            make_pipeline(TfidfVectorizer(), _asking(linear())), cv=StratifiedKFold(2)
        ),
        metadata={"fit": ("sample_weight",)},
    ),
    "asking tuned": numeric(
        lambda: tune(
            _asking(linear(), "fit"),
            scoring=make_scorer(f1_score, pos_label="neg").set_score_request(
                sample_weight=True
            ),
        ),
        metadata={"fit": ("sample_weight",)},
    ),
    "asking everywhere": numeric(
        _everything_asked, metadata={"fit": ("sample_weight", "groups")}, refits=False
    ),
    **{
        f"tuned by {name}": numeric(
            lambda cv=cv: tune(linear(), cv=cv), metadata={"fit": ("groups",)}
        )
        for name, cv in GROUPED.items()
    },
    "searched by folds that ask for another name": numeric(
        lambda: _searched(GroupShuffleSplit(1).set_split_request(groups="shops")),
        metadata={"fit": ("shops",)},
    ),
}

CASES: dict[str, Case] = _PLAIN | _BERT | _REQUESTING

if not hasattr(MLPClassifier, "set_fit_request"):  # scikit-learn 1.6: without weights
    del CASES["asking a network"]
