"""Digests of data and of estimators: whether two comparisons are the same one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from sktransfer.comparison.run.journal import Journal
from sktransfer.comparison.setup.candidates import (
    Candidate,
    inner_estimators,
    is_estimator,
    named_parts,
)
from sktransfer.exceptions import InvalidParameterError

__all__ = ["check_candidates", "describe_candidate", "digest_of", "digest_texts"]

# Parameters that change how long something takes and what is shown, and no result.
_WITHOUT_EFFECT = {
    "batch_tokens",
    "cache",
    "memory",
    "n_jobs",
    "share",
    "transform_input",
    "verbose",
}


def digest_texts(*columns: Iterable[Any] | None) -> str:
    """SHA-256 of columns of texts, labels or numbers, in hexadecimal.

    Parameters
    ----------
    *columns : iterable or None
        In order; None is another thing than an empty one.

    Returns
    -------
    digest : str of 64 characters
    """
    digest = hashlib.sha256()
    for column in columns:
        digest.update(b"\x00column" if column is not None else b"\x00nothing")
        for value in () if column is None else column:
            entry = f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")
            digest.update(len(entry).to_bytes(8, "little") + entry)
    return digest.hexdigest()


def digest_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of a flat mapping of str to str, in hexadecimal.

    Parameters
    ----------
    value : mapping

    Returns
    -------
    digest : str of 64 characters
    """
    return digest_texts(*([key, entry] for key, entry in sorted(value.items())))


def describe_candidate(candidate: Candidate) -> dict[str, str]:
    """Everything about a candidate that changes its results, as text.

    Parameters
    ----------
    candidate : Candidate
        Two of the same parameters are described alike, in any process.

    Returns
    -------
    description : dict of str to str
        Names of parameters, and what they are.
    """
    found = {
        "use of the source": str(candidate.use),
        "grid": _describe(candidate.grid),
    }
    if candidate.teacher is not None:
        found["teacher"] = _describe(candidate.teacher)
    for prefix, inner in inner_estimators(candidate.estimator):
        found[prefix.removesuffix("__") or "estimator"] = _name(type(inner))
        if isinstance(inner, FrozenEstimator):
            found[f"{prefix}estimator"] = _describe_fitted(inner.estimator)
            continue
        for name, value in inner.get_params(deep=False).items():
            if name in _WITHOUT_EFFECT or is_estimator(value):
                continue
            told = [part[0] for part in named_parts(value)] or value
            found.setdefault(f"{prefix}{name}", _describe(told))
    return found


def check_candidates(candidates: Iterable[Candidate], journal: Journal) -> None:
    """Put candidates down in a journal, or see that they are what they were.

    Parameters
    ----------
    candidates : iterable of Candidate
        A journal may come to hold more of them from run to run.
    journal : Journal
        Written to.

    Raises
    ------
    InvalidParameterError
        If the journal has one of the same name and other parameters.
    """
    known = {e["strategy"]: e["description"] for e in journal.of_kind("strategy")}
    for candidate in candidates:
        name = candidate.recorded
        new, old = describe_candidate(candidate), known.get(name)
        if old is None:
            journal.write({"entry": "strategy", "strategy": name, "description": new})
        elif old != new:
            others = sorted(k for k in old | new if old.get(k) != new.get(k))
            told = "; ".join(
                f"{key} was {_cut(old.get(key))} and is {_cut(new.get(key))}"
                for key in others[:5]
            )
            raise InvalidParameterError(
                f"the folder's journal has run {name!r} with other "
                f"parameters: {told}. Name another folder, or call it something else."
            )


def _cut(value: str | None) -> str:
    told = "missing" if value is None else value
    return told if len(told) <= 40 else told[:37] + "..."


def _describe(value: Any) -> str:
    """Text that is the same for the same value, also in another process."""
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {digest_texts(value.ravel().tolist())}"
    if isinstance(value, Mapping):
        entries = [f"{_describe(k)}: {_describe(v)}" for k, v in value.items()]
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_describe, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(_describe, value))) + "}"
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if is_estimator(value):
        inner = describe_candidate(Candidate("", "", value))
        return f"{_name(type(value))}({digest_of(inner)})"
    if isinstance(value, type) or (
        isinstance(value, Callable) and hasattr(value, "__qualname__")  # type: ignore[arg-type]
    ):
        return _name(value)
    told = repr(value)
    # An address in memory is another one in the next process.
    return _name(type(value)) if " at 0x" in told else told


def _describe_fitted(model: Any) -> str:
    """Digest of what a fitted model has learnt, where it can be told."""
    network = getattr(getattr(model, "net_", None), "module_", None)
    if network is not None:
        tensors = network.state_dict()
        digest = hashlib.sha256()
        for name in sorted(tensors):
            numbers = tensors[name].detach().cpu().double().numpy()
            digest.update(name.encode() + numbers.tobytes())
        return f"{_name(type(model))} {digest.hexdigest()}"
    return f"{_name(type(model))} {_describe(model)}"


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', None)}.{value.__qualname__}"
