"""What is no estimator: plain values, sparse matrices, random numbers, functions."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

__all__ = ["is_plain", "is_random_state", "sparse_fault"]

_DEEPEST = 60
_SCALARS = (bool, int, float, str, bytes, complex, slice, np.dtype)
_CONTAINERS = (list, tuple, set, frozenset, dict, Bunch)
# Types that stand for themselves, as the dtype of counts.
_TYPES = (bool, int, float, str)
_WORDS_OF_MT19937 = 624


def is_plain(value: Any, *, containers: bool = True, depth: int = 0) -> bool:
    """Whether a value is made of numbers, texts, arrays and containers of these.

    None of it is called or followed. Numbers in it are proved only where they could
    lead beyond their own array: in sparse matrices and states of random numbers.
    """
    if value is None or type(value) in _SCALARS or isinstance(value, np.generic):
        return not isinstance(value, (np.void, np.object_))
    if not containers or depth > _DEEPEST:
        return False
    if isinstance(value, type):
        return value in _TYPES or issubclass(value, np.generic)
    if isinstance(value, np.dtype):
        return True
    if isinstance(value, np.random.RandomState):
        return is_random_state(value)
    if sparse.issparse(value):
        return sparse_fault(value) is None
    if isinstance(value, np.ma.MaskedArray):
        value = np.ma.getdata(value)
    if type(value) in (np.ndarray, np.memmap):
        return _is_plain_array(value, depth)
    if type(value) in (dict, Bunch):
        items = [*value.keys(), *value.values()]
    elif type(value) in _CONTAINERS:
        items = list(value)
    else:
        return isinstance(value, PurePath)
    return all(is_plain(item, depth=depth + 1) for item in items)


def _is_plain_array(array: Any, depth: int) -> bool:
    if array.dtype.kind == "O":
        return all(is_plain(one, depth=depth + 1) for one in array.ravel().tolist())
    return array.dtype.kind in "biufcSUmM" and array.dtype.isnative


def is_random_state(value: np.random.RandomState) -> bool:
    """Whether the next number that is drawn is one of the state's own."""
    state: Any = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return False
    key, place = state["state"]["key"], state["state"]["pos"]
    return len(key) == _WORDS_OF_MT19937 and 0 <= place <= _WORDS_OF_MT19937


def sparse_fault(matrix: Any) -> str | None:
    """What is wrong with the indices of a sparse matrix, or None."""
    if matrix.format not in ("csr", "csc", "coo") or matrix.ndim != 2:
        return f"the format {matrix.format!r}"
    if matrix.dtype.kind not in "biuf" or matrix.dtype.itemsize > 8:
        return f"numbers of the type {matrix.dtype}"
    if min(matrix.shape) < 0:
        return f"the shape {matrix.shape}"
    if matrix.format == "coo":
        return _coo_fault(matrix)
    n_lines, width = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    pointers, indices, data = matrix.indptr, matrix.indices, matrix.data
    if any(one.ndim != 1 for one in (pointers, indices, data)):
        return "arrays of several dimensions"
    if pointers.dtype != indices.dtype or pointers.dtype not in (np.int32, np.int64):
        return "indices that are no whole numbers"
    if len(pointers) != n_lines + 1 or len(indices) != len(data):
        return "arrays of lengths that do not fit"
    if pointers[0] != 0 or (np.diff(pointers) < 0).any() or pointers[-1] > len(data):
        return "pointers that do not ascend from 0 to the length of the data"
    return _range_fault(indices, width)


def _coo_fault(matrix: Any) -> str | None:
    if any(len(one) != len(matrix.data) for one in (matrix.row, matrix.col)):
        return "arrays of lengths that do not fit"
    return _range_fault(matrix.row, matrix.shape[0]) or _range_fault(
        matrix.col, matrix.shape[1]
    )


def _range_fault(indices: Any, size: int) -> str | None:
    if indices.dtype not in (np.int32, np.int64):
        return "indices that are no whole numbers"
    if len(indices) and not (indices.min() >= 0 and indices.max() < size):
        return f"indices outside of 0 to {size - 1}"
    return None
