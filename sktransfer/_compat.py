"""What hangs on releases of other packages: their private names, and their differences.

`BORROWED` has names that a package keeps to itself, and why a public one does not do.
They are imported from here, ``from sktransfer._compat import _BaseScorer``, and looked
up when they are asked for, so that nobody waits for what they do not use.
`ATTRIBUTES` lists the private attributes of others' objects, which stand where they are
used. ``tests/test_compat.py`` notices when one is gone, or is used and not listed.

Nothing is imported by a statement: word vectors come by here, and need no torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = [
    "ATTRIBUTES",
    "BORROWED",
    "Attributes",
    "cpu_multiplies_bfloat16",
]

_SCORER = "sklearn.metrics._scorer"
_PARAMETERS = "sklearn.utils._param_validation"
_VALIDATION = "sklearn.utils.validation"

#: Private names, or names in private modules: where each stands, and why it is needed.
#: All are there in each supported release.
BORROWED: dict[str, tuple[str, str]] = {
    "_BaseScorer": (_SCORER, "no public class tells a scorer from another function"),
    "_CurveScorer": (_SCORER, "tuned thresholds hold one, and are saved with it"),
    "_PassthroughScorer": (_SCORER, "check_scoring returns one, and searches hold it"),
    "_Scorer": (_SCORER, "make_scorer returns one; from a folder it is made anew"),
    "_CalibratedClassifier": (
        "sklearn.calibration",
        "CalibratedClassifierCV holds a list of them, and is saved with it",
    ),
    "InvalidParameterError": (_PARAMETERS, "a parameter from a folder may be wrong"),
    "validate_parameter_constraints": (
        _PARAMETERS,
        "parameters from a folder are checked before anything is fitted",
    ),
    "_check_sample_weight": (
        _VALIDATION,
        "weights are checked, and cast, as in all of scikit-learn's classifiers",
    ),
    "_get_feature_names": (
        _VALIDATION,
        "joined domains need one name a column, of whichever table it is",
    ),
    "_safe_indexing": (
        "sklearn.utils",
        "rows of a list, a table and a sparse matrix, as cross_validate takes them",
    ),
    "LinearClassifierMixin": (
        "sklearn.linear_model._base",
        "the public linear classifiers fit in ways of their own",
    ),
    "MetadataRequest": (
        "sklearn.utils._metadata_requests",
        "what set_fit_request and its like leave in an estimator",
    ),
    "SIMPLE_METHODS": (
        "sklearn.utils._metadata_requests",
        "the methods that metadata can be asked for",
    ),
    "WARN": (
        "sklearn.utils._metadata_requests",
        "the mark of a request that is new, in place of True or False",
    ),
    "BaseSearchCV": (
        "sklearn.model_selection._search",
        "what grid, random and halving searches have in common",
    ),
    "rv_frozen": (
        "scipy.stats._distn_infrastructure",
        "a distribution with its parameters, which random searches draw from",
    ),
    "rv_continuous_frozen": (
        "scipy.stats._distn_infrastructure",
        "one of numbers, which from a folder is made anew",
    ),
    "rv_discrete_frozen": (
        "scipy.stats._distn_infrastructure",
        "one of whole numbers, which from a folder is made anew",
    ),
    "LokyBackend": (
        "joblib._parallel_backends",
        "joblib has no other way to run code when a worker starts",
    ),
    "process_executor": (
        "joblib.externals.loky",
        "its limit of a worker's growth, for which joblib has no option",
    ),
    "dump": (
        "joblib.externals.loky.backend.reduction",
        "writes what joblib sends: functions of notebooks too, by cloudpickle",
    ),
    "sdpa_attention_forward": (
        "transformers.integrations.sdpa_attention",
        "what a layer does by itself; without it attention stays as it was",
    ),
    "sdpa_mask": (
        "transformers.masking_utils",
        "the mask that it takes; without it attention stays as it was",
    ),
    "_parser": (
        "re",
        "patterns from a folder are read before they are compiled, for their cost",
    ),
}


def __getattr__(name: str) -> Any:
    """Return a private name; AttributeError where its package has it no longer."""
    if name not in BORROWED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(BORROWED[name][0])
    if not hasattr(module, name):
        # It may be a module itself, that nothing has imported.
        importlib.import_module(f"{module.__name__}.{name}")
    return getattr(module, name)


@dataclass(frozen=True)
class Attributes:
    """Private attributes of another package's objects.

    Attributes
    ----------
    owner : str
        Package, module, or class as ``module:name``.
    names : str
        Their names, with blanks between.
    used_in : str
        Folders and modules of this package that use them, with blanks between.
    reason : str
        Why no public name does.
    without : str
        What happens where one is gone.
    releases : str, default=""
        Those that have them, where that is not each supported one.
    """

    owner: str
    names: str
    used_in: str
    reason: str
    without: str
    releases: str = ""


def _fitted(names: str, releases: str = "") -> Attributes:
    """Of what a class's methods read, the part that has no public name."""
    reason = "a model from a folder is proved by all that its methods read"
    without = "such a model is not saved; tests/bundles/proving fails"
    return Attributes("sklearn", names, "bundles", reason, without, releases)


_PLAIN_TRAINING = "training takes the plain way, which is slower"

#: Private attributes that stand where they are used.
ATTRIBUTES: tuple[Attributes, ...] = (
    # Linear models, naive Bayes, networks and support vectors.
    _fitted("_label_binarizer _loss _loss_function_ _strategy _expanded_class_weight"),
    _fitted("_average_coef _average_intercept _standard_coef _standard_intercept"),
    _fitted("_best_coefs _best_intercepts _coef_indptr _intercept_indptr _optimizer"),
    _fitted("_no_improvement_count _random_state _max_components _sgd_fast"),
    _fitted("_dual_coef_ _intercept_ _n_support _num_iter _probA _probB _sparse"),
    _fitted("_effective_probability", ">=1.9"),
    _fitted("_store_cv_results", "<1.7"),
    _fitted("_alphas", ">=1.7"),
    # Decompositions.
    _fitted("_batch_size _beta_loss _components_denominator _components_numerator"),
    _fitted("_ewa_cost _ewa_cost_min _fit_svd_solver _gamma _n_components"),
    _fitted("_no_improvement _rho _transform_max_iter _unmixing"),
    _fitted("_algorithm _n_features_out _n_init _n_threads _tol"),
    # Features.
    _fitted("_cached_dict _compute_n_features_outs _default_to_infrequent_mappings"),
    _fitted("_drop_idx_after_grouping _encoder _fit_dtype _infrequent_enabled"),
    _fitted("_infrequent_indices _max_degree _min_degree _missing_indices _n_features"),
    _fitted("_n_features_outs _n_out_full _num_combinations _precomputed _scaler"),
    _fitted("_stop_words_id _tfidf _get_support_mask"),
    _fitted("_fill_dtype", ">=1.8"),
    # What holds other estimators.
    _fitted("_checked_cv_orig _columns _curve_scorer _estimator _label_encoder"),
    _fitted("_max_features _max_samples _n_feature_outs _n_samples _n_samples_orig"),
    _fitted("_remainder _seeds _transformer_to_input_indices"),
    _fitted("_ConstantPredictor _SigmoidCalibration"),
    _fitted("_sample_weight _TemperatureScaling", ">=1.8"),
    _fitted("_training_dim"),
    _fitted("_RemainderColsList", "<1.7"),
    _fitted("_transformers_feature_names_out _skl_callbacks", ">=1.9"),
    Attributes(
        "sklearn",
        "_get_param_names _parameter_constraints _metadata_request "
        "_get_metadata_request",
        "bundles",
        "parameters from a folder are checked against the class, before one is made",
        "no model is saved or loaded; tests/bundles fails",
    ),
    Attributes(
        "sklearn",
        "_sklearn_output_config",
        "bundles encoders/saving.py",
        "what set_output has set can be asked for by no public name",
        "it is not saved, and a loaded estimator gives arrays",
    ),
    Attributes(
        "sklearn.metrics",
        "_score_func _sign _kwargs _response_method _thresholds",
        "bundles/held.py comparison",
        "a scorer says nothing of itself: what it calls, and what it asks a model for",
        "no scorer is saved, and scores given as predictions cannot be computed",
    ),
    Attributes(
        "scipy.sparse",
        "_is_array",
        "bundles/skops_files.py",
        "a name in scipy's files of matrices, which are looked through before use",
        "matrices of a later scipy are refused; tests/bundles fails",
    ),
    # Training and encoding, which have a plain way beside the quick one.
    Attributes(
        "torch",
        "_softmax_backward_data",
        "classifier/cpu/attention.py",
        "the gradient of softmax for weights that are there already",
        _PLAIN_TRAINING,
    ),
    Attributes(
        "torch",
        "_foreach_lerp_",
        "classifier/training classifier/strategies",
        "moves all tensors of a network at once; torch's optimisers call it too",
        "weights that are drawn to a start cannot be trained; tests/classifier fails",
    ),
    Attributes(
        "torch:Tensor",
        "_version _backward_hooks _post_accumulate_grad_hooks",
        "classifier/cpu classifier/network",
        "whether a tensor has changed, or is watched, has no public name",
        "training and prediction by packed rows fail; tests/classifier fails",
    ),
    Attributes(
        "torch.nn:Module",
        "_forward_hooks _forward_pre_hooks _backward_hooks _backward_pre_hooks",
        "classifier/network/packed_form.py",
        "a module with hooks is called, and not computed by packed rows",
        "prediction by packed rows fails; tests/classifier fails",
    ),
    Attributes(
        "torch.nn:Module",
        "_load_from_state_dict",
        "encoders/checkpoints/weights.py",
        "a table of words is copied before others' weights are read into it",
        "reading weights fails, or would change those that models share",
    ),
    Attributes(
        "torch.nn:Module",
        "_modules",
        "classifier/network/body.py",
        "a twin of a network shares all of its parts but some",
        "training in halves fails; tests/classifier fails",
    ),
    Attributes(
        "torch.ops:mkldnn",
        "_reorder_linear_weight _linear_pointwise",
        "encoders/compute/packed.py",
        "products with weights laid out once, as torch's compiler calls them",
        "encoding in bfloat16 takes torch's plain products, by a fifteenth slower",
    ),
    Attributes(
        "torch.cpu",
        "_is_avx512_bf16_supported _is_amx_tile_supported",
        "_compat.py",
        "torch.cpu.get_capabilities came with torch 2.10",
        "the CPU counts as one without bfloat16",
        "<2.10",
    ),
    Attributes(
        "transformers:PretrainedConfig",
        "_attn_implementation",
        "classifier/cpu/attention.py",
        "the public setter checks, copies and warns, in each copy of a network",
        _PLAIN_TRAINING,
    ),
    Attributes(
        "transformers:PreTrainedModel",
        "_keep_in_fp32_modules _keep_in_fp32_modules_strict",
        "encoders/loaded_models.py",
        "which layers a model wants in float32; only loading heeds it by itself",
        "all layers compute in the smaller format",
    ),
    Attributes(
        "skorch:NeuralNet",
        "_default_callbacks",
        "classifier/training/net.py",
        "skorch has its defaults changed by this name, in its documentation too",
        "skorch's own callbacks run; tests/classifier fails",
    ),
    Attributes(
        "joblib.externals.loky.process_executor",
        "_MAX_MEMORY_LEAK_SIZE",
        "comparison/run/workers.py",
        "the limit of a worker's growth has no option",
        "workers that train networks are started anew, ten seconds each time",
    ),
)


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16 (AVX512-BF16, AMX-BF16)."""
    cpu = importlib.import_module("torch").cpu
    if hasattr(cpu, "get_capabilities"):
        flags = cpu.get_capabilities()
        return any(flags.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    # Before torch 2.10 the flags were to be had one by one only.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(cpu, name, bool)() for name in names)
