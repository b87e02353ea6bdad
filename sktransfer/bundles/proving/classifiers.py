"""Rules of scikit-learn's classifiers and regressors that decide by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from sktransfer.bundles.proving.fields import (
    ANY,
    FLAG,
    LABELS,
    MODEL,
    REAL,
    WHOLE,
    AnyOf,
    Choice,
    Count,
    Field,
    Labels,
    ListOf,
    Numbers,
    Sizes,
)
from sktransfer.bundles.proving.rules import Rule

__all__ = ["LINEAR", "RULES"]

_INTERCEPT = AnyOf((Numbers("r", finite=True), REAL))
_COEF: Field = Numbers("r m", finite=True, sparse=True)
_FLAT: Field = AnyOf(
    (Numbers("m", finite=True, sparse=True), Numbers("r m", sparse=True))
)

# What solvers note of their work.
_NOTES: dict[str, Field] = dict.fromkeys(
    (
        "_alphas",  # of 1.7 and 1.8
        "_store_cv_results",  # of 1.6
        "n_iter_",
        "solver_",
        "t_",
        "alpha_",
        "alphas_",
        "best_score_",
        "gcv_mode",
        "alpha_per_target",
        "cv_values_",
        "cv_results_",
        "_expanded_class_weight",
        "_average_coef",
        "_average_intercept",
        "_standard_coef",
        "_standard_intercept",
        "dual_gap_",
        "mse_path_",
        "rank_",
        "singular_",
        "scores_",
        "coefs_paths_",
        "Cs_",
        "C_",
        "l1_ratio_",
        "l1_ratios_",
        "scale_",
        "outliers_",
        "sigma_",
        "lambda_",
        "X_offset_",
        "X_scale_",
        "penalty",
        "learning_rate",
        "epsilon",
        "alpha",
        "l1_ratio",
        "eta0",
        "power_t",
        "loss",
        "average",
        # Of scikit-learn before 1.8, before 1.7, and of 1.7 and 1.8.
        "C",
        "_store_cv_results",
        "_alphas",
    ),
    ANY,
)
_SGD: dict[str, Field] = {"_loss_function_": ANY}


class _Loss:
    """A loss of scikit-learn's compiled code, which only a fit asks."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        module = type(value).__module__
        known = module.startswith(("sklearn._loss", "sklearn.linear_model")) or (
            module in ("_loss", "_sgd_fast")
        )
        return None if value is None or known else "a loss of scikit-learn"


_SGD["_loss_function_"] = _Loss()
_SGD["loss_function_"] = _Loss()

LINEAR = Rule({"classes_": LABELS, "coef_": _COEF, "intercept_": _INTERCEPT}, _NOTES)
_SGD_LINEAR = Rule(LINEAR.fitted, _NOTES | _SGD)
_RIDGE = Rule(
    {
        "_label_binarizer": MODEL,
        "coef_": AnyOf((_COEF, Numbers("m", finite=True))),
        "intercept_": _INTERCEPT,
    },
    _NOTES | {"classes_": LABELS},
    together=lambda model, sizes: (
        _intercept_fault(model, sizes) or _same_classes(model._label_binarizer, model)
    ),
)
_REGRESSION = Rule(
    {
        "coef_": AnyOf((Numbers("m", finite=True, sparse=True), Numbers("r m"))),
        "intercept_": AnyOf((REAL, Numbers("?", finite=True))),
    },
    _NOTES | _SGD,
    together=lambda model, sizes: _intercept_fault(model, sizes),
)


def _intercept_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    n_rows = 1 if model.coef_.ndim == 1 else model.coef_.shape[0]
    if np.ndim(model.intercept_) == 0 or len(model.intercept_) == n_rows:
        return None
    return f"it has {len(model.intercept_)} intercepts for {n_rows} decisions"


def _same_classes(binarizer: Any, model: Any) -> str | None:
    classes, own = binarizer.classes_, model.classes_
    if len(classes) == len(own):
        return None
    return f"its labels are {len(own)}, but those of their encoder {len(classes)}"


def _naive_bayes(**more: Field) -> Rule:
    fitted: dict[str, Field] = {"classes_": LABELS, "class_count_": Numbers("K")}
    return Rule(fitted | more, _BAYES)


_BAYES: dict[str, Field] = {
    "feature_count_": Numbers("K m"),
    "class_log_prior_": Numbers("K"),
    "feature_all_": Numbers("m"),
    "epsilon_": REAL,
    "category_count_": ANY,
    "n_categories_": Numbers("m", "iu"),
}

_SVM_NOTES: dict[str, Field] = dict.fromkeys(
    (
        "C",
        "nu",
        "epsilon",
        "probability",
        "class_weight",
        "random_state",
        "fit_status_",
        "n_iter_",
        "_num_iter",
        "class_weight_",
        "offset_",
        "_effective_probability",
    ),
    ANY,
)
_SVM_NOTES |= {
    "class_weight_": Numbers("?"),
    "_effective_probability": FLAG,
    "nu": REAL,
    "C": REAL,
    "epsilon": REAL,
}
_SVM: dict[str, Field] = {
    "_sparse": FLAG,
    "_gamma": REAL,
    "support_": Numbers("s", "i"),
    "support_vectors_": AnyOf((Numbers("s m", sparse=True), Numbers("0 0"))),
    "_n_support": Numbers("c", "i", low=0, high=2**31),
    "dual_coef_": Numbers("d s", sparse=True),
    "_dual_coef_": Numbers("d s", sparse=True),
    "intercept_": Numbers("p"),
    "_intercept_": Numbers("p"),
    "_probA": Numbers("q"),
    "_probB": Numbers("q"),
    "shape_fit_": ListOf(Count(), "2"),
}


def _svm(**labels: Field) -> Rule:
    return Rule(labels | _SVM, _SVM_NOTES, together=_svm_fault)


def _svm_fault(model: Any, sizes: Sizes) -> str | None:
    """What libsvm would follow: it believes whatever it is given."""
    n_classes = sizes.get("K", 2)
    n_pairs = n_classes * (n_classes - 1) // 2
    n_vectors, n_rows = sizes["s"], int(model.shape_fit_[0])
    if n_classes < 2 or sizes["c"] != n_classes or sizes["d"] != n_classes - 1:
        return "its coefficients are not those of its classes"
    if sizes["p"] != n_pairs or sizes["q"] not in (0, n_pairs):
        return f"it has {sizes['p']} intercepts for {n_pairs} pairs of classes"
    effective = vars(model).get("_effective_probability", model.probability)
    if sizes["q"] != n_pairs and (effective is True or model.probability is True):
        return "it is to have probabilities, but learnt none"
    n_listed = int(model._n_support.astype(np.int64).sum())
    if "K" not in sizes:  # of one class, or of none
        n_listed = int(model._n_support[0])
    if n_listed != n_vectors:
        return f"_n_support counts {n_listed} of {n_vectors} support vectors"
    if n_vectors and not (model.support_.min() >= 0 and model.support_.max() < n_rows):
        return f"support_ names rows outside of the {n_rows} that it was fitted on"
    if sizes.get("m", model.shape_fit_[1]) != model.shape_fit_[1]:
        return "shape_fit_ has another number of features"
    return _svm_arrays_fault(model, n_vectors)


def _svm_arrays_fault(model: Any, n_vectors: int) -> str | None:
    vectors, coefficients = model.support_vectors_, model._dual_coef_
    is_precomputed = model.kernel == "precomputed"
    if is_precomputed and model.shape_fit_[0] != model.shape_fit_[1]:
        return "its kernel is precomputed, but it was fitted on features"
    if not is_precomputed and vectors.shape[0] != n_vectors:
        return f"it has {vectors.shape[0]} support vectors instead of {n_vectors}"
    both = (sparse.issparse(vectors), sparse.issparse(coefficients))
    if both != (bool(model._sparse),) * 2:
        return "_sparse says otherwise than its support vectors"
    if model._sparse:
        if coefficients.nnz != coefficients.shape[0] * n_vectors:
            return "_dual_coef_ leaves coefficients out"
        arrays = [vectors.indices, vectors.indptr, model.support_, model._n_support]
        floats = [vectors.data, coefficients.data]
    else:
        arrays = [model.support_, model._n_support]
        floats = [vectors, coefficients]
    floats += [model._intercept_, model._probA, model._probB]
    if any(one.dtype != np.int32 for one in arrays):
        return "its whole numbers do not have 32 bits"
    if any(one.dtype != np.float64 or not one.flags.c_contiguous for one in floats):
        return "its numbers do not have 64 bits, or not in the order of rows"
    return None


def _network_fault(model: Any, sizes: Sizes) -> str | None:
    width = sizes["m"]
    if len(model.coefs_) != len(model.intercepts_) or not model.coefs_:
        return "it has other layers than intercepts"
    for matrix, bias in zip(model.coefs_, model.intercepts_, strict=True):
        if matrix.shape != (width, len(bias)):
            return f"a layer has shape {matrix.shape}, but reads {width} numbers"
        width = len(bias)
    if model.n_layers_ != len(model.coefs_) + 1 or model.n_outputs_ != width:
        return "it has another number of layers or outputs"
    own = vars(model).get("classes_")
    if own is None:
        return None
    if width != (1 if len(own) == 2 else len(own)):
        return f"it has {width} outputs for {len(own)} classes"
    return _same_classes(model._label_binarizer, model)


_LAYERS: dict[str, Field] = {
    "coefs_": ListOf(Numbers("? ?", finite=True)),
    "intercepts_": ListOf(Numbers("?", finite=True)),
    "n_layers_": WHOLE,
    "n_outputs_": WHOLE,
    "out_activation_": Choice(("identity", "logistic", "softmax", "tanh", "relu")),
}
_NETWORK_NOTES: dict[str, Field] = dict.fromkeys(
    (
        "loss",
        "loss_",
        "loss_curve_",
        "n_iter_",
        "t_",
        "_random_state",
        "_best_coefs",
        "_best_intercepts",
        "_no_improvement_count",
        "best_loss_",
        "validation_scores_",
        "best_validation_score_",
        "_coef_indptr",
        "_intercept_indptr",
    ),
    ANY,
)


class _Optimizer:
    """What a network's next fit would go on with."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        known = type(value).__name__ in ("AdamOptimizer", "SGDOptimizer")
        plain = known and all(
            ANY.fault(one, sizes) is None for one in vars(value).values()
        )
        return None if plain else "an optimizer of numbers alone"


_OPTIMIZER: dict[str, Field] = {"_optimizer": _Optimizer()}


def _discriminant() -> Rule:
    more: dict[str, Field] = {
        "priors_": Numbers("K"),
        "means_": Numbers("K m"),
        "xbar_": Numbers("m"),
        "scalings_": Numbers("m l"),
        "covariance_": Numbers("m m"),
        "explained_variance_ratio_": Numbers("?"),
        "_max_components": WHOLE,
    }
    return Rule(LINEAR.fitted, more, together=_projection_fault)


def _projection_fault(model: Any, sizes: Sizes) -> str | None:
    n_out = vars(model).get("_n_features_out", model._max_components)
    width = sizes.get("l", n_out)
    return None if n_out <= max(width, 1) else f"it gives {n_out} of {width} columns"


def _rotation_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    pairs = zip(model.rotations_, model.scalings_, strict=True)
    fits = all(rotation.shape[1] == len(scaling) for rotation, scaling in pairs)
    return None if fits else "its rotations have other scalings"


_DUMMY = Rule(
    {"n_outputs_": Choice((1,))},
    {
        "classes_": LABELS,
        "n_classes_": Count("K"),
        "class_prior_": Numbers("K", finite=True),
        "sparse_output_": FLAG,
        "_strategy": Choice(
            ("prior", "most_frequent", "stratified", "uniform", "constant")
        ),
        "constant_": Numbers("1 1", "biuf"),
    },
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("LinearSVC", "LogisticRegression", "LogisticRegressionCV"), LINEAR
    ),
    **dict.fromkeys(
        ("PassiveAggressiveClassifier", "Perceptron", "SGDClassifier"), _SGD_LINEAR
    ),
    **dict.fromkeys(("RidgeClassifier", "RidgeClassifierCV"), _RIDGE),
    **dict.fromkeys(
        (
            "BayesianRidge",
            "ElasticNet",
            "ElasticNetCV",
            "HuberRegressor",
            "Lasso",
            "LassoCV",
            "LinearRegression",
            "LinearSVR",
            "PassiveAggressiveRegressor",
            "Ridge",
            "RidgeCV",
            "SGDRegressor",
        ),
        _REGRESSION,
    ),
    **dict.fromkeys(
        ("BernoulliNB", "ComplementNB", "MultinomialNB"),
        _naive_bayes(feature_log_prob_=Numbers("K m")),
    ),
    "CategoricalNB": _naive_bayes(feature_log_prob_=ListOf(Numbers("K ?"), "m")),
    "GaussianNB": _naive_bayes(
        theta_=Numbers("K m"), var_=Numbers("K m"), class_prior_=Numbers("K")
    ),
    **dict.fromkeys(("NuSVC", "SVC"), _svm(classes_=LABELS)),
    **dict.fromkeys(("NuSVR", "OneClassSVM", "SVR"), _svm()),
    "MLPClassifier": Rule(
        {"_label_binarizer": MODEL, "classes_": LABELS, **_LAYERS},
        _NETWORK_NOTES | _OPTIMIZER,
        together=_network_fault,
    ),
    "MLPRegressor": Rule(_LAYERS, _NETWORK_NOTES | _OPTIMIZER, together=_network_fault),
    "LinearDiscriminantAnalysis": _discriminant(),
    "QuadraticDiscriminantAnalysis": Rule(
        {
            "classes_": LABELS,
            "priors_": Numbers("K"),
            "means_": Numbers("K m"),
            "scalings_": ListOf(Numbers("?"), "K"),
            "rotations_": ListOf(Numbers("m ?"), "K"),
        },
        {"covariance_": ANY},
        together=_rotation_fault,
    ),
    "NearestCentroid": Rule(
        {"classes_": LABELS, "centroids_": Numbers("K m", finite=True)},
        {
            "class_prior_": Numbers("K"),
            "within_class_std_dev_": Numbers("m"),
            "deviations_": Numbers("K m"),
            "true_classes_": Labels(),
        },
    ),
    "DummyClassifier": _DUMMY,
    "DummyRegressor": _DUMMY,
    "_ConstantPredictor": Rule({"y_": Numbers("1", "biuf")}),
}
