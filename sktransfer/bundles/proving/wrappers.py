"""Rules of what scikit-learn puts around other estimators, which are proved first."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.bundles.proving.fields import (
    ANY,
    FLAG,
    LABELS,
    MODEL,
    REAL,
    TEXT,
    WHOLE,
    AnyOf,
    Choice,
    Count,
    Field,
    Labels,
    ListOf,
    Numbers,
    Plain,
    Sizes,
)
from sktransfer.bundles.proving.parameters import is_harmless
from sktransfer.bundles.proving.rules import Rule
from sktransfer.bundles.proving.widths import (
    answers,
    chain_fault,
    n_classes,
    width_in,
)

__all__ = ["RULES", "Held"]


class Held:
    """Plain values, and estimators, scorers and splitters among them."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        return None if is_harmless(value) else "plain values and estimators"


_HELD = Held()
_MODELS = ListOf(MODEL, "e")
_METHOD = Choice(("predict", "predict_proba", "predict_log_proba", "decision_function"))
_OR_TEXT = AnyOf((MODEL, Plain((str,))))
_NAMED: dict[str, Field] = {"named_estimators_": _HELD}
_CLASSES: dict[str, Field] = {"classes_": LABELS}


def _alike(models: list[Any], sizes: Sizes) -> str | None:
    """What is wrong with models that answer for the same classes."""
    for model in models:
        found = n_classes(model)
        if found is not None and found != sizes["K"]:
            name = type(model).__name__
            return f"{name} tells {found} classes, and the whole {sizes['K']}"
    return _same_width(models, sizes)


def _same_width(models: list[Any], sizes: Sizes) -> str | None:
    for model in models:
        width = width_in(model)
        if width is not None and width != sizes.get("m", width):
            return f"{type(model).__name__} reads {width} columns, not {sizes['m']}"
    return None


def _voting_fault(model: Any, sizes: Sizes) -> str | None:
    if len(model.le_.classes_) != sizes["K"]:
        return "its labels are not those of its encoder"
    n_voices = sum(1 for _, one in model.estimators if one != "drop")
    if n_voices != len(model.estimators_):
        return f"{len(model.estimators_)} of its {n_voices} estimators are fitted"
    return _numbered(model.estimators_, sizes) or _alike(model.estimators_, sizes)


def _numbered(models: list[Any], sizes: Sizes) -> str | None:
    """What is wrong with models that learnt the numbers of labels, not the labels."""
    for model in models:
        if n_classes(model) is None:
            continue
        whole = model.classes_.dtype.kind in "iu"
        if not whole or model.classes_.tolist() != list(range(sizes["K"])):
            return f"{type(model).__name__} answers with other numbers than its labels'"
    return None


def _stacking_fault(model: Any, sizes: Sizes) -> str | None:
    if len(model._label_encoder.classes_) != sizes["K"]:
        return "its labels are not those of its encoder"
    if len(model.estimators_) != len(model.stack_method_):
        return "it has other methods than estimators"
    if (
        fault := _alike([*model.estimators_, model.final_estimator_], sizes)
    ) is not None:
        return fault
    if (fault := _numbered([model.final_estimator_], sizes)) is not None:
        return fault
    pairs = zip(model.estimators_, model.stack_method_, strict=True)
    widths = [answers(one, method) for one, method in pairs]
    passed = sizes.get("m") if model.passthrough else 0
    reads = width_in(model.final_estimator_)
    if None in (*widths, passed, reads):
        return None
    gives = sum(width or 0 for width in widths) + (passed or 0)
    return None if gives == reads else f"its last step reads {reads} of {gives} columns"


def _bagging_fault(model: Any, sizes: Sizes) -> str | None:
    columns = model.estimators_features_
    if len(columns) != sizes["e"]:
        return "it has columns of other estimators"
    for one, model_of in zip(columns, model.estimators_, strict=True):
        if len(one) and one.max() >= sizes["m"]:
            return "estimators_features_ names columns that it does not have"
        if width_in(model_of) not in (None, len(one)):
            return "an estimator reads other columns than are named"
    for one in model.estimators_:
        # A sample may lack a class.
        if (n_classes(one) or 0) > sizes["K"]:
            return "an estimator tells more classes than there are"
    return None


def _rest_fault(model: Any, sizes: Sizes) -> str | None:
    classes = model.label_binarizer_.classes_
    one = model.label_binarizer_.y_type_.startswith("multilabel")
    if len(vars(model).get("classes_", classes)) != len(classes):
        return "its labels are not those of its encoder"
    expected = len(classes) if one or len(classes) != 2 else 1
    if sizes["e"] != expected and len(classes) > 1:
        return f"it has {sizes['e']} estimators for {len(classes)} classes"
    return _binary_fault(model.estimators_, sizes)


def _binary_fault(models: Any, sizes: Sizes) -> str | None:
    for model in models:
        found = n_classes(model)
        if found is not None and found > 2:
            return f"{type(model).__name__} tells {found} classes instead of two"
    return _same_width(models, sizes)


def _pairs_fault(model: Any, sizes: Sizes) -> str | None:
    n_pairs = sizes["K"] * (sizes["K"] - 1) // 2
    if sizes["e"] != n_pairs:
        return f"it has {sizes['e']} estimators for {n_pairs} pairs of classes"
    return None if model.pairwise_indices_ else _binary_fault(model.estimators_, sizes)


def _calibrated_fault(model: Any, sizes: Sizes) -> str | None:
    for one in model.calibrated_classifiers_:
        if type(one).__name__ != "_CalibratedClassifier":
            return f"{type(one).__name__} is no calibrated classifier"
        if len(one.classes) != sizes["K"]:
            return f"a part of it tells {len(one.classes)} classes"
    return _same_width([one.estimator for one in model.calibrated_classifiers_], sizes)


class _Calibrated:
    """A part of CalibratedClassifierCV, proved by itself."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        known = type(value).__name__ == "_CalibratedClassifier"
        return None if known else "a calibrated classifier"


def _part_fault(part: Any, sizes: Sizes) -> str | None:
    expected = 1 if part.method == "temperature" or sizes["K"] == 2 else sizes["K"]
    if sizes["e"] != expected:
        return f"it has {sizes['e']} calibrators for {sizes['K']} classes"
    return _alike([part.estimator], sizes)


def _target_fault(model: Any, sizes: Sizes) -> str | None:
    width = width_in(model.transformer_)
    if model._training_dim == 1 and width not in (None, 1):
        return f"its targets are one column, and {width} are transformed"
    return _same_width([model.regressor_], sizes)


def _search_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    best = vars(model).get("best_estimator_")
    return None if best is None or isinstance(best, BaseEstimator) else "no best one"


def _selected_fault(model: Any, sizes: Sizes) -> str | None:
    n_kept = int(np.count_nonzero(model.support_))
    inner = vars(model).get("estimator_")
    if inner is not None and width_in(inner) not in (None, n_kept):
        return f"its estimator reads {width_in(inner)} of {n_kept} columns"
    return None


def _from_model_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    if "estimator_" not in vars(model) and model.prefit:
        return None
    support = model._get_support_mask()
    return None if np.ndim(support) == 1 else "it selects no columns"


def _columns_fault(model: Any, sizes: Sizes) -> str | None:
    n_columns = sizes["m"]
    names = [name for name, *_ in model.transformers_]
    for name, transformer, columns in model.transformers_:
        if not (
            isinstance(name, str) and isinstance(transformer, (str, BaseEstimator))
        ):
            return "transformers_ does not hold names, transformers and columns"
        if not _are_columns(columns, model, n_columns):
            return f"{name} reads columns that it does not have"
        width = width_in(transformer) if not isinstance(transformer, str) else None
        if width is not None and width != _n_named(columns, n_columns):
            return f"{name} reads {width} columns, and others are named for it"
    ways = vars(model).get("_transformer_to_input_indices", {})
    if not isinstance(ways, dict) or not set(names) <= set(ways):
        return "it does not say which columns its transformers read"
    for indices in ways.values():
        if not all(0 <= int(one) < n_columns for one in indices):
            return "its transformers read columns that it does not have"
    return None


def _are_columns(columns: Any, model: Any, n_columns: int) -> bool:
    if isinstance(columns, slice):
        return all(
            one is None or isinstance(one, (int, str))
            for one in (columns.start, columns.stop, columns.step)
        )
    several = columns if isinstance(columns, (list, tuple, np.ndarray)) else [columns]
    if isinstance(several, np.ndarray):
        several = several.tolist()
    if several and all(isinstance(one, (bool, np.bool_)) for one in several):
        return len(several) == n_columns
    names = set(vars(model).get("feature_names_in_", np.empty(0)).tolist())
    return all(
        one in names
        if isinstance(one, str)
        else isinstance(one, (int, np.integer)) and -n_columns <= one < n_columns
        for one in several
    )


def _n_named(columns: Any, n_columns: int) -> int | None:
    if isinstance(columns, slice):
        whole = not isinstance(columns.start, str) and not isinstance(columns.stop, str)
        return len(range(*columns.indices(n_columns))) if whole else None
    several = columns if isinstance(columns, (list, tuple, np.ndarray)) else [columns]
    if len(several) and all(isinstance(one, (bool, np.bool_)) for one in several):
        return int(np.count_nonzero(several))
    return len(several)


def _pipeline_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    for step in model.steps:
        if len(step) != 2 or not isinstance(step[0], str):
            return "its steps are no pairs of a name and an estimator"
        if not (step[1] is None or isinstance(step[1], (str, BaseEstimator))):
            return f"its step {step[0]!r} is no estimator"
    return chain_fault([one for _, one in model.steps])


def _union_fault(model: Any, sizes: Sizes) -> str | None:
    del sizes
    named = vars(model).get("_transformers_feature_names_out", model.transformer_list)
    if len(named) > len(model.transformer_list):
        return "it names columns of more transformers than it has"
    for part in model.transformer_list:
        if len(part) != 2 or not isinstance(part[0], str):
            return "its transformers are no pairs of a name and a transformer"
        if not isinstance(part[1], (str, BaseEstimator)):
            return f"its transformer {part[0]!r} is none"
    widths = {width_in(one) for _, one in model.transformer_list} - {None}
    return (
        None if len(widths) < 2 else f"its transformers read {sorted(map(str, widths))}"
    )


def _chained_fault(model: Any, sizes: Sizes) -> str | None:
    if sorted(map(int, model.order_)) != list(range(sizes["e"])):
        return "order_ is no order of its estimators"
    if len(model.classes_) != sizes["e"]:
        return "it has labels of other outputs"
    for place, one in enumerate(model.estimators_):
        if width_in(one) not in (None, sizes.get("m", 0) + place):
            return f"the estimator at {place} reads {width_in(one)} columns"
    return None


def _outputs_fault(model: Any, sizes: Sizes) -> str | None:
    if len(vars(model).get("classes_", model.estimators_)) != sizes["e"]:
        return "it has labels of other outputs"
    return _same_width(model.estimators_, sizes)


def _codes_fault(model: Any, sizes: Sizes) -> str | None:
    if sizes["e"] != model.code_book_.shape[1]:
        return "it has other estimators than columns in its code book"
    return _binary_fault(model.estimators_, sizes)


_SEARCH_NOTES: dict[str, Field] = dict.fromkeys(
    (
        "best_params_",
        "best_score_",
        "best_index_",
        "cv_results_",
        "scorer_",
        "n_splits_",
        "refit_time_",
        "multimetric_",
        "_checked_cv_orig",
        "n_resources_",
        "n_candidates_",
        "n_remaining_candidates_",
        "max_resources_",
        "min_resources_",
        "n_iterations_",
        "n_possible_iterations_",
        "n_required_iterations_",
        "_n_samples_orig",
        "pre_dispatch",
    ),
    _HELD,
)
_SEARCH = Rule({}, _SEARCH_NOTES | {"best_estimator_": MODEL}, together=_search_fault)
_THRESHOLD_NOTES: dict[str, Field] = {
    "best_score_": REAL,
    "cv_results_": ANY,
    "_curve_scorer": _HELD,
    "classes_": LABELS,
}
_THRESHOLD = Rule(
    {"estimator_": MODEL},
    _THRESHOLD_NOTES | {"best_threshold_": REAL},
    together=lambda model, sizes: (
        None
        if n_classes(model.estimator_) in (None, 2)
        else "a threshold needs two classes"
    ),
)
_SELECTED = Rule(
    {"support_": Numbers("m", "b")},
    {
        "estimator_": MODEL,
        "n_features_": WHOLE,
        "ranking_": Numbers("m", "iu"),
        "cv_results_": ANY,
        "n_features_to_select_": WHOLE,
        "cv_": _HELD,
    },
    together=_selected_fault,
)
_SCORED = Rule(
    {"scores_": Numbers("m", "biuf")},
    {"pvalues_": AnyOf((Numbers("m"), Choice((None,))))},
)


class _Made:
    """What scikit-learn makes anew from the other attributes."""

    def fault(self, value: Any, sizes: Sizes) -> str | None:
        """See `Field`."""
        del sizes
        kind = f"{type(value).__module__}.{type(value).__name__}"
        known = kind.startswith("scipy.interpolate.") and kind.endswith(".interp1d")
        own = getattr(value, "__module__", "") == "sklearn.isotonic"
        return None if known or own else "a function that scikit-learn made"


RULES: dict[str, Rule] = {
    "Pipeline": Rule(together=_pipeline_fault),
    "FeatureUnion": Rule(
        optional={
            "_transformers_feature_names_out": ListOf(AnyOf((Labels(), ListOf(TEXT))))
        },
        together=_union_fault,
    ),
    "FrozenEstimator": Rule(parameters={"estimator": MODEL}),
    "ColumnTransformer": Rule(
        {
            "transformers_": ListOf(ListOf(_HELD, "3")),
            "_columns": _HELD,
            "_remainder": _HELD,
            "sparse_output_": FLAG,
            "output_indices_": ANY,
        },
        {
            "_transformer_to_input_indices": ANY,
            "_n_features": Count("m"),
            "_transformers_feature_names_out": Labels(),
        },
        together=lambda model, sizes: (
            _columns_fault(model, sizes) if "transformers_" in vars(model) else None
        ),
    ),
    "VotingClassifier": Rule(
        _CLASSES | {"le_": MODEL, "estimators_": _MODELS},
        _NAMED,
        together=_voting_fault,
    ),
    "StackingClassifier": Rule(
        {
            "classes_": LABELS,
            "_label_encoder": MODEL,
            "final_estimator_": MODEL,
            "estimators_": _MODELS,
            "stack_method_": ListOf(_METHOD),
        },
        _NAMED | {"_n_feature_outs": ListOf(WHOLE, "e")},
        together=_stacking_fault,
    ),
    "BaggingClassifier": Rule(
        {
            "classes_": LABELS,
            "n_classes_": Count("K"),
            "estimators_": _MODELS,
            "estimators_features_": ListOf(Numbers("?", "iu", low=0), "e"),
        },
        {
            "estimator_": MODEL,
            "estimator_params": ANY,
            "_n_samples": WHOLE,
            "_max_samples": WHOLE,
            "_max_features": WHOLE,
            "_sample_weight": ANY,
            "_seeds": ANY,
            "oob_score_": REAL,
            "oob_decision_function_": ANY,
        },
        together=_bagging_fault,
    ),
    "AdaBoostClassifier": Rule(
        {
            "classes_": LABELS,
            "n_classes_": Count("K"),
            "estimators_": _MODELS,
            "estimator_weights_": Numbers("w", finite=True),
            "estimator_errors_": Numbers("w", finite=True),
        },
        {"estimator_": MODEL, "estimator_params": ANY},
        together=lambda model, sizes: (
            _alike(model.estimators_, sizes)
            if sizes["e"] <= sizes["w"]
            else "it has more estimators than weights"
        ),
    ),
    "OneVsRestClassifier": Rule(
        {"label_binarizer_": MODEL, "estimators_": _MODELS},
        {"classes_": Labels()},
        together=_rest_fault,
    ),
    "OneVsOneClassifier": Rule(
        _CLASSES | {"estimators_": _MODELS, "pairwise_indices_": ANY},
        together=_pairs_fault,
    ),
    "OutputCodeClassifier": Rule(
        {
            "classes_": LABELS,
            "code_book_": Numbers("K ?", finite=True),
            "estimators_": _MODELS,
        },
        {"code_size_": WHOLE},
        together=_codes_fault,
    ),
    "MultiOutputClassifier": Rule(
        {"estimators_": _MODELS},
        {"classes_": ListOf(Labels())},
        together=_outputs_fault,
    ),
    "ClassifierChain": Rule(
        {
            "estimators_": _MODELS,
            "order_": AnyOf((Numbers("e", "iu"), ListOf(WHOLE, "e"))),
            "classes_": ListOf(Labels()),
        },
        {"chain_method_": _METHOD},
        together=_chained_fault,
    ),
    "SelfTrainingClassifier": Rule(
        {"estimator_": MODEL, "classes_": LABELS},
        {
            "transduction_": Labels(),
            "labeled_iter_": Numbers("?", "iu"),
            "n_iter_": WHOLE,
            "termination_condition_": TEXT,
        },
        together=lambda model, sizes: _alike([model.estimator_], sizes),
    ),
    "CalibratedClassifierCV": Rule(
        _CLASSES | {"calibrated_classifiers_": ListOf(_Calibrated(), "e")},
        together=_calibrated_fault,
    ),
    "_CalibratedClassifier": Rule(
        {
            "estimator": MODEL,
            "classes": LABELS,
            "calibrators": _MODELS,
            "method": Choice(("sigmoid", "isotonic", "temperature")),
        },
        together=_part_fault,
    ),
    "_SigmoidCalibration": Rule({"a_": REAL, "b_": REAL}),
    "_TemperatureScaling": Rule({"beta_": REAL}),
    "IsotonicRegression": Rule(
        {
            "X_thresholds_": Numbers("t", finite=True),
            "y_thresholds_": Numbers("t", finite=True),
            "X_min_": REAL,
            "X_max_": REAL,
            "increasing_": FLAG,
        },
        {"f_": _Made()},
    ),
    **dict.fromkeys(
        (
            "GridSearchCV",
            "HalvingGridSearchCV",
            "HalvingRandomSearchCV",
            "RandomizedSearchCV",
        ),
        _SEARCH,
    ),
    "TransformedTargetRegressor": Rule(
        {
            "_training_dim": Count(low=1, high=2),
            "transformer_": MODEL,
            "regressor_": MODEL,
        },
        together=_target_fault,
    ),
    "FixedThresholdClassifier": _THRESHOLD,
    "TunedThresholdClassifierCV": Rule(
        {"estimator_": MODEL, "best_threshold_": REAL},
        _THRESHOLD_NOTES,
        together=_THRESHOLD.together,
    ),
    # Selections of columns.
    **dict.fromkeys(("RFE", "RFECV", "SequentialFeatureSelector"), _SELECTED),
    **dict.fromkeys(
        (
            "GenericUnivariateSelect",
            "SelectFdr",
            "SelectFpr",
            "SelectFwe",
            "SelectKBest",
            "SelectPercentile",
        ),
        _SCORED,
    ),
    "SelectFromModel": Rule(
        {"estimator_": MODEL}, {"max_features_": WHOLE}, together=_from_model_fault
    ),
    "VarianceThreshold": Rule({"variances_": Numbers("m")}),
}
