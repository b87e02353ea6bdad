"""Rules of scikit-learn's transformers: of texts, of labels, and of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.bundles.proving.fields import (
    ANY,
    FLAG,
    MODEL,
    REAL,
    TEXT,
    WHOLE,
    AnyOf,
    Choice,
    Count,
    Field,
    Instance,
    Labels,
    ListOf,
    Numbers,
    Real,
    Sizes,
    Words,
)
from sktransfer.bundles.proving.rules import Rule
from sktransfer.bundles.proving.widths import width_in

__all__ = ["RULES"]

_NONE = Choice((None,))
_NUMBERS = Numbers("m")
_MAYBE = AnyOf((_NUMBERS, _NONE))
_COUNTED: dict[str, Field] = {"n_samples_seen_": ANY}

_READING: dict[str, Field] = {"_stop_words_id": ANY, "stop_words_": ANY}
_COUNTS: dict[str, Field] = {"vocabulary_": Words("m")}


def _scaler(*names: str) -> Rule:
    return Rule(dict.fromkeys(names, _MAYBE), _COUNTED)


def _tfidf_fault(model: Any, sizes: Sizes) -> str | None:
    inner = model._tfidf
    width = width_in(inner)
    if type(inner).__name__ != "TfidfTransformer" or (
        width is not None and width != sizes["m"]
    ):
        return f"its vocabulary has {sizes['m']} words, but their weights are {width}"
    return None


def _idf_fault(model: Any, sizes: Sizes) -> str | None:
    is_fitted = "n_features_in_" in vars(model)
    if is_fitted and model.use_idf and "idf_" not in vars(model):
        return "use_idf is True, but it has no idf_"
    return None


def _components(**more: Field) -> Rule:
    fitted: dict[str, Field] = {"components_": Numbers("c m", finite=True, sparse=True)}
    return Rule(fitted | more, _DECOMPOSED)


_DECOMPOSED: dict[str, Field] = {
    "mean_": AnyOf((Numbers("m", finite=True), _NONE)),
    "n_components_": Count("c"),
    "_n_components": Count("c"),
    "explained_variance_": Numbers("c"),
    "_unmixing": Numbers("? ?", finite=True),
    "exp_dirichlet_component_": Numbers("c m", finite=True),
    "_components_numerator": Numbers("c m"),
    "_components_denominator": Numbers("c m"),
    "random_state_": ANY,
    **dict.fromkeys(
        (
            "explained_variance_ratio_",
            "singular_values_",
            "n_samples_",
            "n_samples_seen_",
            "var_",
            "_fit_svd_solver",
            "batch_size_",
            "reconstruction_err_",
            "n_iter_",
            "n_steps_",
            "n_batch_iter_",
            "doc_topic_prior_",
            "topic_word_prior_",
            "bound_",
            "_batch_size",
            "_ewa_cost",
            "_ewa_cost_min",
            "_no_improvement",
            "whitening_",
            "mixing_",
            "loglike_",
            "density_",
            "inverse_components_",
            "error_",
        ),
        ANY,
    ),
    "noise_variance_": AnyOf((REAL, Numbers("m", finite=True))),
    "_beta_loss": Real(-100, 100),
    "_gamma": Real(0, 1e6),
    "_rho": Real(0, 1),
    "_transform_max_iter": Count(high=10**7),
}


def _encoder_fault(model: Any, sizes: Sizes) -> str | None:
    """The columns of a one-hot encoding are written where the categories say."""
    categories = model.categories_
    if len(categories) != sizes.get("m", len(categories)):
        return "it has categories of another number of columns"
    for numbers in (model.drop_idx_, model._drop_idx_after_grouping):
        if numbers is None:
            continue
        if len(numbers) != len(categories) or not all(
            n is None or 0 <= n < len(one)
            for n, one in zip(numbers, categories, strict=True)
        ):
            return "it drops categories that it does not have"
    if model._infrequent_enabled and (fault := _rare_fault(model)) is not None:
        return fault
    if list(model._n_features_outs) != list(model._compute_n_features_outs()):
        return "_n_features_outs counts other columns than its categories"
    return None


def _rare_fault(model: Any) -> str | None:
    mappings = model._default_to_infrequent_mappings
    rare = model._infrequent_indices
    if not len(mappings) == len(rare) == len(model.categories_):
        return "rare categories are those of other columns"
    for mapping, indices, one in zip(mappings, rare, model.categories_, strict=True):
        if mapping is None and indices is None:
            continue
        whole = mapping.dtype.kind in "iu" and indices.dtype.kind in "iu"
        n_left = len(one) - len(indices) + 1
        if not whole or mapping.shape != (len(one),) or not len(indices):
            return "rare categories are not counted for each category"
        if mapping.min() < 0 or mapping.max() != n_left - 1:
            return "rare categories are written beyond the columns"
    return None


def _ordinal_fault(model: Any, sizes: Sizes) -> str | None:
    if len(model.categories_) != sizes.get("m", len(model.categories_)):
        return "it has categories of another number of columns"
    return _rare_fault(model) if model._infrequent_enabled else None


def _targets_fault(model: Any, sizes: Sizes) -> str | None:
    """Each category of a column has a number, and one for each of several classes."""
    kind, classes = model.target_type_, model.classes_
    if (classes is None) != (kind == "continuous"):
        return f"its classes are not those of a {kind} target"
    n_each = len(classes) if kind == "multiclass" else 1
    if sizes["E"] != len(model.categories_) * n_each:
        return f"it has {sizes['E']} encodings of {len(model.categories_)} columns"
    if np.shape(model.target_mean_) != ((n_each,) if kind == "multiclass" else ()):
        return "it has means of other classes"
    for place, encoding in enumerate(model.encodings_):
        if len(encoding) != len(model.categories_[place // n_each]):
            return f"its encoding {place} is of other categories"
    return _ordinal_fault(model, sizes)


_CATEGORIES: dict[str, Field] = {
    "categories_": ListOf(Labels("?")),
    "_infrequent_enabled": FLAG,
}
_RARE: dict[str, Field] = {
    "_infrequent_indices": ListOf(AnyOf((Numbers("?", "iu"), _NONE))),
    "_default_to_infrequent_mappings": ListOf(AnyOf((Numbers("?", "iu"), _NONE))),
    "_missing_indices": ANY,
}
_DROPPED = AnyOf((_NONE, Numbers("?", "iu"), Labels("?")))


def _labels_fault(model: Any, sizes: Sizes) -> str | None:
    if model.sparse_input_ and model.classes_.dtype.kind not in "biuf":
        return "its labels are no numbers, and were in a sparse matrix"
    kinds = {True: "binary", False: "multiclass"}
    expected = kinds[sizes["K"] <= 2]
    if model.y_type_ in (expected, "multilabel-indicator"):
        return None
    return f"{sizes['K']} labels are {expected}, not {model.y_type_}"


def _columns_fault(model: Any, sizes: Sizes) -> str | None:
    """A label is written to the column that the dict has for it."""
    known = vars(model).get("_cached_dict")
    if known in (None, dict(zip(model.classes_, range(sizes["K"]), strict=True))):
        return None
    return "it has other columns than labels"


def _bins_fault(model: Any, sizes: Sizes) -> str | None:
    edges, counts = model.bin_edges_, model.n_bins_
    if len(edges) != sizes["m"] or not all(
        getattr(one, "dtype", np.dtype("O")).kind == "f" and len(one) == n + 1
        for one, n in zip(edges, counts, strict=True)
    ):
        return "its bins have other edges than n_bins_ says"
    encoder = vars(model).get("_encoder")
    if encoder is None:
        return None
    if [len(one) for one in encoder.categories_] != counts.tolist():
        return "its encoder has other bins"
    return None


def _imputer_fault(model: Any, sizes: Sizes) -> str | None:
    indicator = model.indicator_
    if indicator is None:
        return None
    width = width_in(indicator)
    fits = width in (None, sizes["m"]) and vars(indicator).get("_precomputed")
    return None if fits else "its indicator reads other columns"


def _polynomial_fault(model: Any, sizes: Sizes) -> str | None:
    expected = model._num_combinations(
        n_features=sizes["m"],
        min_degree=model._min_degree,
        max_degree=model._max_degree,
        interaction_only=model.interaction_only,
        include_bias=model.include_bias,
    )
    full = model._num_combinations(
        n_features=sizes["m"],
        min_degree=0,
        max_degree=model._max_degree,
        interaction_only=model.interaction_only,
        include_bias=model.include_bias,
    )
    if model._n_out_full != full:
        return f"it reckons with {model._n_out_full} columns instead of {full}"
    if model._max_degree > _MOST_DEGREE or expected != model.n_output_features_:
        return f"it gives {model.n_output_features_} columns instead of {expected}"
    return None


_MOST_DEGREE = 20


def _kernel_fault(model: Any, sizes: Sizes) -> str | None:
    if model.normalization_.shape[1] != len(model.components_):
        return "its components are not those of its normalization"
    return None


def _quantile_fault(model: Any, sizes: Sizes) -> str | None:
    ascending = (np.diff(model.references_) >= 0).all()
    return None if ascending else "references_ do not ascend"


RULES: dict[str, Rule] = {
    "CountVectorizer": Rule(_COUNTS, {"fixed_vocabulary_": FLAG, **_READING}),
    "TfidfVectorizer": Rule(
        _COUNTS,
        {"fixed_vocabulary_": FLAG, "_tfidf": MODEL, **_READING},
        together=lambda model, sizes: (
            _tfidf_fault(model, sizes) if "vocabulary_" in vars(model) else None
        ),
    ),
    "TfidfTransformer": Rule(
        {}, {"idf_": Numbers("m", finite=True)}, together=_idf_fault
    ),
    "HashingVectorizer": Rule({}, _READING),
    "FeatureHasher": Rule(),
    "DictVectorizer": Rule(_COUNTS | {"feature_names_": ListOf(TEXT, "m")}),
    # Of labels.
    "LabelEncoder": Rule({"classes_": Labels("K")}),
    "LabelBinarizer": Rule(
        {
            "classes_": Labels("K"),
            "y_type_": Choice(("binary", "multiclass", "multilabel-indicator")),
            "sparse_input_": FLAG,
        },
        together=_labels_fault,
    ),
    "MultiLabelBinarizer": Rule(
        {"classes_": Labels("K")},
        {"_cached_dict": Instance((dict, type(None)))},
        together=_columns_fault,
    ),
    # Of numbers, column by column.
    "StandardScaler": _scaler("mean_", "var_", "scale_"),
    "MinMaxScaler": _scaler("scale_", "min_", "data_min_", "data_max_", "data_range_"),
    "MaxAbsScaler": _scaler("max_abs_", "scale_"),
    "RobustScaler": _scaler("center_", "scale_"),
    "Normalizer": Rule(),
    "Binarizer": Rule(),
    "FunctionTransformer": Rule(),
    "KernelCenterer": Rule(
        {"K_fit_rows_": Numbers("m"), "K_fit_all_": REAL}, {"_n_features": WHOLE}
    ),
    "PowerTransformer": Rule({"lambdas_": Numbers("m")}, {"_scaler": MODEL}),
    "QuantileTransformer": Rule(
        {
            "quantiles_": Numbers("q m"),
            "references_": Numbers("q", finite=True),
            "n_quantiles_": Count("q"),
        },
        together=_quantile_fault,
    ),
    "OneHotEncoder": Rule(
        {
            **_CATEGORIES,
            "drop_idx_": _DROPPED,
            "_drop_idx_after_grouping": _DROPPED,
            "_n_features_outs": ListOf(WHOLE),
        },
        _RARE,
        together=lambda model, sizes: (
            _encoder_fault(model, sizes) if "categories_" in vars(model) else None
        ),
    ),
    "OrdinalEncoder": Rule(_CATEGORIES, _RARE, together=_ordinal_fault),
    "TargetEncoder": Rule(
        {
            **_CATEGORIES,
            "target_type_": Choice(("binary", "continuous", "multiclass")),
            "classes_": AnyOf((_NONE, Labels())),
            "target_mean_": AnyOf((REAL, Numbers("?"))),
            "encodings_": ListOf(Numbers("?"), "E"),
        },
        _RARE,
        together=lambda model, sizes: (
            _targets_fault(model, sizes) if "encodings_" in vars(model) else None
        ),
    ),
    "KBinsDiscretizer": Rule(
        {"bin_edges_": ANY, "n_bins_": Numbers("m", "iu")},
        {"_encoder": MODEL},
        together=_bins_fault,
    ),
    "PolynomialFeatures": Rule(
        {
            "_min_degree": WHOLE,
            "_max_degree": WHOLE,
            "n_output_features_": WHOLE,
            "_n_out_full": WHOLE,
        },
        together=_polynomial_fault,
    ),
    "SimpleImputer": Rule(
        {
            "statistics_": AnyOf((Numbers("m", "biuf"), Labels("m"))),
            "indicator_": AnyOf((_NONE, MODEL)),
        },
        {"_fit_dtype": ANY, "_fill_dtype": ANY},
        together=_imputer_fault,
    ),
    "MissingIndicator": Rule(
        {"features_": Numbers("?", "iu", low=0), "_n_features": Count("m")},
        {"_precomputed": FLAG},
        together=lambda model, sizes: (
            "features_ names columns that it does not have"
            if len(model.features_) and model.features_.max() >= sizes["m"]
            else None
        ),
    ),
    # To fewer columns.
    **dict.fromkeys(
        (
            "FactorAnalysis",
            "FastICA",
            "GaussianRandomProjection",
            "IncrementalPCA",
            "MiniBatchNMF",
            "NMF",
            "PCA",
            "SparsePCA",
            "SparseRandomProjection",
            "TruncatedSVD",
        ),
        _components(),
    ),
    "LatentDirichletAllocation": _components(
        exp_dirichlet_component_=Numbers("c m", finite=True), doc_topic_prior_=REAL
    ),
    "Nystroem": Rule(
        {
            "components_": Numbers("? m", finite=True, sparse=True),
            "normalization_": Numbers("? ?", finite=True),
        },
        {"component_indices_": ANY},
        together=_kernel_fault,
    ),
    "RBFSampler": Rule(
        {
            "random_weights_": Numbers("m c", finite=True),
            "random_offset_": Numbers("c", finite=True),
        },
        {"_gamma": REAL},
    ),
    "KMeans": Rule(
        {
            "cluster_centers_": Numbers("c m", finite=True),
            "_n_threads": Count(low=1, high=1024),
        },
        {"_n_features_out": Count("c")}
        | dict.fromkeys(
            ("labels_", "inertia_", "n_iter_", "_tol", "_n_init", "_algorithm"), ANY
        ),
    ),
}
