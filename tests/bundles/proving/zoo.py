"""A fitted example of each class of scikit-learn that may come out of a file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from packaging.version import Version
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import (
    NMF,
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    LatentDirichletAllocation,
    MiniBatchNMF,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    ElasticNetCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import (
    BernoulliNB,
    CategoricalNB,
    ComplementNB,
    GaussianNB,
    MultinomialNB,
)
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    KernelCenterer,
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    MultiLabelBinarizer,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR, NuSVC, NuSVR, OneClassSVM

__all__ = ["AT_LEAST_1_8", "EXAMPLES", "answer", "find_objects", "known"]


def known(estimator: Any, **later: Any) -> Any:
    """An estimator with parameters of a later release, where this one has them."""
    new = set(later) <= set(estimator.get_params())
    return estimator.set_params(**later) if new else estimator


_VERSION = Version(sklearn.__version__)
AT_LEAST_1_8 = Version("1.8") <= _VERSION

_rng = np.random.default_rng(0)
X = np.abs(_rng.normal(size=(60, 6)))
THREE, TWO = np.array(["a", "b", "c"] * 20), np.array(["a", "b"] * 30)
NUMBERS = _rng.normal(size=60)
KERNEL = X @ X.T
FEW = X.round()
TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot"] * 3
DICTS = [{"good": 1, "film": "new"}, {"bad": 2.0}]
HALF = np.where(np.arange(60) % 2, -1, np.arange(60) // 2 % 2)
MANY = np.column_stack([THREE == "a", TWO == "a"])
SVC_ = functools.partial(SVC, random_state=0)
LINEAR = LogisticRegression()
GRID = {"C": [1.0, 2.0]}
PAIR = [("linear", LINEAR), ("bayes", GaussianNB())]
SPARSE = sparse.csr_matrix(X)


def _fit(
    model: Any, rows: Any = X, labels: Any = None
) -> Callable[[], tuple[Any, Any]]:
    def fit() -> tuple[Any, Any]:
        own = clone(model)
        return (own.fit(rows) if labels is None else own.fit(rows, labels)), rows

    return fit


_REGRESSIONS = (
    BayesianRidge(),
    ElasticNet(),
    ElasticNetCV(cv=2),
    HuberRegressor(),
    Lasso(),
    LassoCV(cv=2),
    LinearRegression(),
    LinearSVR(),
    Ridge(),
    RidgeCV(),
    SGDRegressor(random_state=0),
    SVR(),
    NuSVR(),
    DummyRegressor(),
    MLPRegressor(hidden_layer_sizes=(3,), max_iter=9000, tol=0.1),
)
_CLASSIFIERS = (
    LINEAR,
    known(LogisticRegressionCV(cv=2), l1_ratios=(0,), use_legacy_attributes=False),
    LinearSVC(),
    RidgeClassifier(),
    RidgeClassifierCV(),
    Perceptron(),
    SGDClassifier(random_state=0),
    SVC(),
    NuSVC(nu=0.1),
    SVC(kernel="linear"),
    MultinomialNB(),
    ComplementNB(),
    BernoulliNB(),
    GaussianNB(),
    NearestCentroid(),
    LinearDiscriminantAnalysis(),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    DummyClassifier(),
    MLPClassifier((3,), max_iter=9000, tol=0.1),
    VotingClassifier(PAIR, voting="soft"),
    VotingClassifier(PAIR),
    StackingClassifier(PAIR, cv=2),
    StackingClassifier(PAIR, cv=2, passthrough=True),
    BaggingClassifier(LINEAR, 2, max_features=3),
    AdaBoostClassifier(LINEAR, n_estimators=2),
    OneVsRestClassifier(LINEAR),
    OneVsOneClassifier(LINEAR),
    OutputCodeClassifier(LINEAR, random_state=1),
    FrozenEstimator(LogisticRegression().fit(X, TWO)),
    CalibratedClassifierCV(LINEAR, cv=2),
    CalibratedClassifierCV(LINEAR, method="isotonic", cv=2),
    GridSearchCV(LINEAR, GRID, cv=2),
    RandomizedSearchCV(LINEAR, GRID, n_iter=2, cv=2),
    HalvingGridSearchCV(LINEAR, GRID, cv=2),
    HalvingRandomSearchCV(LINEAR, GRID, cv=2),
    make_pipeline(StandardScaler(), "passthrough", PCA(2), LINEAR),
    make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), [0, 2]), ("b", "drop", [1])],
            remainder=MinMaxScaler(),
        ),
        LINEAR,
    ),
    make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", PCA(2))]), LINEAR),
)
_TRANSFORMERS = (
    StandardScaler(),
    StandardScaler(with_std=False),
    MinMaxScaler(),
    MaxAbsScaler(),
    RobustScaler(),
    Normalizer(),
    Binarizer(),
    FunctionTransformer(np.log1p),
    PowerTransformer(),
    QuantileTransformer(n_quantiles=9),
    PolynomialFeatures(),
    known(KBinsDiscretizer(3), quantile_method="averaged_inverted_cdf"),
    SimpleImputer(),
    SimpleImputer(add_indicator=True),
    MissingIndicator(features="all"),
    FactorAnalysis(2),
    FastICA(2, random_state=0, max_iter=3000),
    IncrementalPCA(2),
    PCA(2),
    SparsePCA(2),
    TruncatedSVD(2),
    NMF(2, max_iter=2000),
    MiniBatchNMF(2),
    LatentDirichletAllocation(2),
    GaussianRandomProjection(2),
    SparseRandomProjection(2),
    Nystroem(n_components=5),
    RBFSampler(n_components=5),
    KMeans(2, n_init=1),
    VarianceThreshold(),
    OneClassSVM(),
    TfidfTransformer(),
)
_SELECTIONS = (
    SelectKBest(k=2),
    SelectPercentile(),
    SelectFpr(alpha=0.9),
    SelectFdr(alpha=0.99),
    SelectFwe(alpha=0.99),
    GenericUnivariateSelect(mode="k_best", param=3),
    RFE(LINEAR),
    RFECV(LINEAR, cv=2),
    SelectFromModel(LINEAR),
    SequentialFeatureSelector(LINEAR, cv=2),
)

# By name: a function that fits, and returns the model and rows to ask it.
EXAMPLES: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{f"{i} {m!r:.60}": _fit(m, X, NUMBERS) for i, m in enumerate(_REGRESSIONS)},
    **{f"{i} {m!r:.60} 3": _fit(m, X, THREE) for i, m in enumerate(_CLASSIFIERS)},
    **{f"{i} {m!r:.60} 2": _fit(m, X, TWO) for i, m in enumerate(_CLASSIFIERS)},
    **{f"{i} {m!r:.60}": _fit(m) for i, m in enumerate(_TRANSFORMERS)},
    **{f"{i} {m!r:.60}": _fit(m, X, THREE) for i, m in enumerate(_SELECTIONS)},
    "sparse svc": _fit(SVC_(), SPARSE, THREE),
    "sparse nu": _fit(NuSVC(nu=0.1), SPARSE, TWO),
    "precomputed": _fit(SVC_(kernel="precomputed"), KERNEL, THREE),
    "sparse coefficients": lambda: (LogisticRegression().fit(X, THREE).sparsify(), X),
    "tuned": _fit(TunedThresholdClassifierCV(LINEAR, cv=2, thresholds=4), X, TWO),
    "fixed": _fit(FixedThresholdClassifier(LINEAR, threshold=0.4), X, TWO),
    "self": _fit(SelfTrainingClassifier(LINEAR, max_iter=1), X, HALF),
    "chain": _fit(ClassifierChain(LINEAR), X, MANY),
    "outputs": _fit(MultiOutputClassifier(LINEAR), X, MANY),
    "categories": _fit(CategoricalNB(), FEW, TWO),
    "one-hot": _fit(OneHotEncoder(), FEW),
    "one-hot dropped": _fit(OneHotEncoder(drop="first"), FEW),
    "one-hot rare": _fit(
        OneHotEncoder(min_frequency=9, handle_unknown="infrequent_if_exist"), FEW
    ),
    "ordinal": _fit(OrdinalEncoder(), FEW),
    "targets": _fit(TargetEncoder(), FEW, TWO),
    "targets of three": _fit(TargetEncoder(), FEW, THREE),
    "targets of numbers": _fit(TargetEncoder(), FEW, NUMBERS),
    "target": _fit(
        TransformedTargetRegressor(Ridge(), transformer=StandardScaler()), X, NUMBERS
    ),
    "target by a function": _fit(
        TransformedTargetRegressor(Ridge(), func=np.sinh, inverse_func=np.arcsinh),
        X,
        NUMBERS,
    ),
    "kernel": _fit(KernelCenterer(), KERNEL),
    "isotonic": _fit(IsotonicRegression(out_of_bounds="clip"), X[:, 0], NUMBERS),
    "labels": _fit(LabelEncoder(), THREE),
    "binary labels": _fit(LabelBinarizer(), THREE),
    "many labels": _fit(MultiLabelBinarizer(), [["a"], ["b", "c"]]),
    "counts": _fit(CountVectorizer(ngram_range=(1, 2)), TEXTS),
    "given counts": _fit(CountVectorizer(vocabulary=["good", "bad"]), TEXTS),
    "tf-idf": _fit(TfidfVectorizer(), TEXTS),
    "tf alone": _fit(TfidfVectorizer(use_idf=False, stop_words=["film"]), TEXTS),
    "hashes": _fit(HashingVectorizer(n_features=32), TEXTS),
    "hashed dicts": _fit(FeatureHasher(n_features=32), DICTS),
    "dicts": _fit(DictVectorizer(), DICTS),
    "texts": _fit(
        make_pipeline(TfidfVectorizer(), SelectKBest(k=3), SVC()), TEXTS, (TWO[:12])
    ),
    "texts naive": _fit(
        make_pipeline(CountVectorizer(), MultinomialNB()), TEXTS, TWO[:12]
    ),
    "constant": _fit(OutputCodeClassifier(LINEAR, random_state=0), X, TWO),
}
if Version("1.9") <= _VERSION:
    # Before, it counted the numbers of its vectors instead of them: it is not saved.
    EXAMPLES["sparse one"] = _fit(OneClassSVM(), SPARSE)
if AT_LEAST_1_8:
    EXAMPLES["temperature"] = _fit(
        CalibratedClassifierCV(LINEAR, method="temperature", cv=2), X, TWO
    )


def answer(model: Any, rows: Any) -> dict[str, Any]:
    """What each method of a model answers."""
    methods = ("predict", "predict_proba", "decision_function", "transform")
    return {
        method: getattr(model, method)(rows)
        for method in methods
        if hasattr(model, method)
    }


def find_objects(value: Any) -> list[Any]:
    """Objects of scikit-learn in a value, itself included."""
    from sktransfer.estimators import walk

    everything = walk(value, lambda one: type(one).__module__.startswith("sklearn."))
    own = [one for one in everything if type(one).__module__.startswith("sklearn.")]
    return [one for one in own if hasattr(one, "__dict__")]
