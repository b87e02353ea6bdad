"""Parts that are scikit-learn's alone, as files of skops.

skops names the types that a file asks for before it makes any. It trusts most of
scikit-learn's; what it does not trust and is data all the same is listed here. Trees
and tables of neighbours are not: compiled code would follow the numbers of a forged one
wherever they lead.
"""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator

from sktransfer.bundles.kinds import check_choices, estimators_in
from sktransfer.bundles.proving.proof import prove
from sktransfer.bundles.skops_files import check_skops_file
from sktransfer.exceptions import ModelFolderError

__all__ = ["read_part", "write_part"]

_SCORES = "sklearn.feature_selection"
_CALIBRATION = "sklearn.calibration"
_OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
_PLAIN_TYPES = sorted(
    {
        f"scipy.sparse._{form}.{form}_{kind}"
        for form in ("csr", "csc", "coo")
        for kind in ("array", "matrix")
    }
    | {"numpy.dtype"}
    | {f"{_SCORES}._univariate_selection.{name}" for name in ("chi2", "f_classif")}
    | {f"{_SCORES}._mutual_info.mutual_info_classif"}
    | {f"{_CALIBRATION}.{n}" for n in ("_CalibratedClassifier", "_SigmoidCalibration")}
    | {f"{_OPTIMIZERS}.{name}" for name in ("AdamOptimizer", "SGDOptimizer")}
)


def write_part(value: Any) -> bytes:
    """A file of skops that `read_part` opens, of an object of scikit-learn.

    Raises ValueError if it could only be pickled, or holds what is not made from files,
    or if a search in it names files.
    """
    # Imported late: skops imports all that scikit-learn has, and torch with it.
    import skops.io

    if _caching(value):
        value = copy.deepcopy(value)
        for estimator in _caching(value):
            estimator.memory = None
    for estimator in estimators_in(value):
        check_choices(vars(estimator))
    try:
        data: bytes = skops.io.dumps(value)
        foreign = _foreign(data)
    except Exception as error:
        raise ValueError(str(error)) from error
    if foreign:
        raise ValueError(f"it holds {', '.join(foreign)}")
    prove(value)
    return data


def read_part(data: bytes, name: str) -> Any:
    """What `write_part` wrote, perhaps forged; `name` is the file's, for messages.

    Raises ModelFolderError if it asks for what is not made from files.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    def check_types() -> None:
        if foreign := _foreign(data):
            raise ModelFolderError(
                f"{name} asks for the types {', '.join(foreign)}, which are not made "
                "from files."
            )

    try:
        check_skops_file(data, name, check_types)
        # It looks at all types before it makes any of them.
        value = skops.io.loads(data, trusted=_PLAIN_TYPES)
        for estimator in estimators_in(value):
            check_choices(vars(estimator))
        prove(value)
    except ModelFolderError:
        raise
    except UntrustedTypesFoundException as error:
        check_types()
        raise ModelFolderError(f"{name} cannot be loaded: {error}") from error
    except Exception as error:  # whatever skops, zipfile and numpy have for it
        raise ModelFolderError(
            f"{name} is damaged ({type(error).__name__}: {error}): save the model "
            "again."
        ) from error
    return value


def _foreign(data: bytes) -> list[str]:
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(data=data)) - set(_PLAIN_TYPES))


def _caching(value: Any) -> list[BaseEstimator]:
    """Estimators in `value` with a cache of joblib's, which holds pickles."""
    return [
        estimator
        for estimator in estimators_in(value)
        if getattr(estimator, "memory", None) is not None
    ]
