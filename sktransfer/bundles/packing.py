"""Values as JSON and tensors, and back.

What JSON has is written as it is. Everything else is an object whose key "is" says
what it stands for: a tuple, a dict, an array, an estimator. Arrays of numbers go to a
file of tensors, and what is left, such as the losses of scikit-learn, to files of
skops.

Estimators of scikit-learn are taken apart as those of this package are. With 20,000
terms of TF-IDF a file of skops had 12.8 MB and took .73 s to read; these have 1.3 MB
and take .02 s, and skops, which imports all of scikit-learn, stays out of the process.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils import Bunch

from sktransfer.bundles.kinds import Kind, kind_named, kind_of
from sktransfer.bundles.proving.requests import REQUESTS, put_requests, take_requests
from sktransfer.bundles.proving.values import sparse_fault
from sktransfer.bundles.sklearn_parts import read_part, write_part
from sktransfer.exceptions import ModelFolderError

__all__ = ["Packer", "Unpacker"]

_TENSOR_KINDS = "biuf"
_NUMBERS = ("float16", "float32", "float64", "int32", "int64")
_PLAIN = frozenset({bool, float, int, str, type(None)})
# Types that stand for themselves, as the numbers of a vectorizer.
_TYPES: dict[str, type[Any]] = {
    one.__name__: one
    for one in (bool, int, float, str, *(getattr(np, name) for name in _NUMBERS))
}
# By which columns are selected.
_TYPES |= {"number": np.number, "integer": np.integer, "floating": np.floating}
_TYPES |= {"object": object}
# What these hold beside arrays scikit-learn makes ready for files itself.
_BY_SKOPS = (
    "sklearn.isotonic:IsotonicRegression",
    "sklearn.neural_network._multilayer_perceptron:MLPClassifier",
    "sklearn.neural_network._multilayer_perceptron:MLPRegressor",
)
_SPARSE: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.csc_array,
    )
}
# What opens weights where it is made, and keeps its own rules of what comes back.
_WITH_WEIGHTS = ("sktransfer.classifier.", "sktransfer.encoders.", "sktransfer.words.")
# Code of the user, which is not needed to predict.
_LEFT_OUT = {"_skl_callbacks"}
# What comes of parts that do not fit one another.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Letters of a text in an array, which takes as many bytes for each of its texts.
_MOST_LETTERS = 10**6


class Packer:
    """Takes values apart; collects the objects, tensors and files that they need.

    Attributes
    ----------
    objects : list of dict
        What packed values refer to by number, so that an object that several others
        hold is one object again.
    tensors : dict of str to ndarray
        By the name that the packed values use.
    parts : dict of str to bytes
        Files of skops, by their names.
    """

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.tensors: dict[str, npt.NDArray[Any]] = {}
        self.parts: dict[str, bytes] = {}
        # The values are kept beside their ids, which could be given out again else.
        self._packed: dict[int, tuple[object, Any]] = {}
        self._unpacker = Unpacker(self.objects, self.tensors, self.parts)

    def pack(self, value: Any, where: str = "") -> Any:
        """JSON for `value`; `where` is the way to it, for names and messages.

        Raises ModelFolderError if the value, or a part of it, could only be pickled.
        """
        if isinstance(value, np.generic):  # some are Python's own numbers and texts
            _check_dtype(value, where)
            is_time = value.dtype.kind in "mM"
            item = value.view(np.int64).item() if is_time else value.item()
            inner = self.pack(item, where)
            return {"is": "scalar", "dtype": value.dtype.str, "value": inner}
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            finite = math.isfinite(value)
            return float(value) if finite else {"is": "float", "value": repr(value)}
        if type(value).__name__ == "_RemainderColsList":  # a list that warns, of 1.6
            value = list(value.data)
        if isinstance(value, list):
            return [self.pack(item, f"{where}.{i}") for i, item in enumerate(value)]
        if id(value) not in self._packed:
            self._packed[id(value)] = value, self._pack_object(value, where)
        return self._packed[id(value)][1]

    def _pack_object(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, tuple) and type(value) is tuple:
            return {"is": "tuple", "items": self.pack(list(value), where)}
        if type(value) in (dict, Bunch):
            name = "bunch" if isinstance(value, Bunch) else "dict"
            values = [self.pack(item, f"{where}.{key}") for key, item in value.items()]
            return {"is": name, "keys": self.pack([*value], where), "values": values}
        if type(value) in (set, frozenset):
            items = self.pack(list(value), where)
            return {"is": type(value).__name__, "items": items}
        if isinstance(value, type) and value in _TYPES.values():
            return {"is": "type", "name": value.__name__}
        if type(value) in _SPARSE.values():
            return self._pack_sparse(value, where)
        if isinstance(value, np.ma.MaskedArray):  # such as the results of a search
            parts = [np.asarray(value.data), np.ma.getmaskarray(value)]
            return {"is": "masked", "parts": self.pack(parts, where)}
        if type(value) in (np.ndarray, np.memmap):
            return self._pack_array(value, where)
        if isinstance(value, Path):
            return {"is": "path", "value": str(value)}
        named = kind_of(value)
        if named is None or named[0] in _BY_SKOPS:
            return self._pack_by_skops(value, where)
        name, kind = named
        number = len(self.objects)
        self.objects.append({})
        fields = {
            key: self.pack(field, f"{where}.{key}")
            for key, field in kind.take_apart(value).items()
        }
        entry = {"type": name, "fields": fields}
        if (requests := take_requests(value)) is not None:
            entry["requests"] = requests
        self.objects[number] = entry
        self._prove(value, kind, number, where)
        return {"is": "object", "number": number}

    def _prove(self, value: Any, kind: Kind, number: int, where: str) -> None:
        """Refuse what a load would refuse, or would not give back as it is.

        It is made again, of its parts that were. What holds weights is only proved.
        """
        package = type(value).__module__
        try:
            if package.startswith(_WITH_WEIGHTS):
                kind.prove(value)
                self._unpacker.keep(number, value)
                return
            made = self._unpacker.unpack({"is": "object", "number": number})
            lost = set(vars(value)) - set(vars(made)) - _LEFT_OUT
            if package.startswith("sklearn.") and lost:
                raise ModelFolderError(f"its attribute {min(lost)} would be lost.")
        except ModelFolderError as error:
            place = where.lstrip(".") or "the object"
            raise ModelFolderError(f"{place} cannot be saved: {error}") from error
        except _MISFITS as error:
            raise ModelFolderError(_unsaveable(value, where, str(error))) from error

    def _pack_array(self, array: npt.NDArray[Any], where: str) -> dict[str, Any]:
        _check_dtype(array, where)
        native = array.dtype.newbyteorder("=")
        if array.dtype.kind not in _TENSOR_KINDS:
            # Labels, most of all: texts, dates, or Python's own objects.
            items = array.ravel().tolist()
            if array.dtype.kind in "mM":
                items = array.ravel().astype(np.int64).tolist()
            kind = {"is": "array", "dtype": native.str, "shape": list(array.shape)}
            return kind | {"items": self.pack(items, where)}
        name = where.lstrip(".") or "value"
        while name in self.tensors:
            name += "_"
        # A copy, where it is a view or memory-mapped: the file wants it in one piece.
        self.tensors[name] = np.ascontiguousarray(array, dtype=native)
        return {"is": "tensor", "name": name, "shape": list(array.shape)}

    def _pack_sparse(self, matrix: Any, where: str) -> dict[str, Any]:
        arrays = [matrix.data, matrix.indices, matrix.indptr]
        packed = {"is": "sparse", "type": type(matrix).__name__}
        return packed | {
            "shape": list(matrix.shape),
            "arrays": self.pack(arrays, f"{where}.sparse"),
        }

    def _pack_by_skops(self, value: Any, where: str) -> dict[str, Any]:
        packed: dict[str, Any] = {
            "is": "skops",
            "file": f"part-{len(self.parts)}.skops",
        }
        if (requests := take_requests(value)) is not None:
            packed["requests"] = requests
            value = copy.copy(value)
            delattr(value, REQUESTS)
        try:
            self.parts[packed["file"]] = write_part(value)
            self._unpacker.unpack(packed)
        except ValueError as error:
            raise ModelFolderError(_unsaveable(value, where, str(error))) from error
        return packed


class Unpacker:
    """Puts together what a `Packer` took apart."""

    def __init__(
        self,
        objects: Sequence[dict[str, Any]],
        tensors: Mapping[str, npt.NDArray[Any]],
        parts: Mapping[str, bytes],
    ) -> None:
        self._objects = objects
        self._made: dict[int, Any] = {}
        self._tensors = tensors
        self._parts = parts
        self._opened: dict[str, Any] = {}
        # Numbers of what is being made: none of it can hold itself.
        self._begun: set[int] = set()

    def keep(self, number: int, made: Any) -> None:
        """Take `made` for the object of that number, and make it no more."""
        self._made[number] = made

    def unpack(self, packed: Any) -> Any:
        """Value of which `packed` is the JSON.

        Raises ModelFolderError if it asks for a type that is not made from files.
        """
        if isinstance(packed, list):  # of many thousand words, perhaps
            unpack = self.unpack
            return [one if type(one) in _PLAIN else unpack(one) for one in packed]
        if not isinstance(packed, dict):
            return packed
        way: Callable[[dict[str, Any]], Any] | None = {
            "array": self._array,
            "bunch": lambda p: Bunch(**self._dict(p)),
            "dict": self._dict,
            "float": lambda p: float(p["value"]),
            "frozenset": lambda p: frozenset(self.unpack(p["items"])),
            "masked": self._masked,
            "object": self._object,
            "path": lambda p: Path(p["value"]),
            "scalar": self._scalar,
            "set": lambda p: set(self.unpack(p["items"])),
            "skops": self._skops,
            "sparse": self._sparse,
            "tensor": self._tensor,
            "tuple": lambda p: tuple(self.unpack(p["items"])),
            "type": lambda p: _TYPES[p["name"]],
        }.get(packed.get("is", ""))
        if way is None:
            raise ModelFolderError(f"it holds something unknown: {str(packed)[:80]}.")
        return way(packed)

    def _dict(self, packed: dict[str, Any]) -> dict[Any, Any]:
        if "items" in packed:  # as the first version of the format had them
            return dict(map(self.unpack, packed["items"]))
        keys, values = self.unpack(packed["keys"]), self.unpack(packed["values"])
        return dict(zip(keys, values, strict=True))

    def _sparse(self, packed: dict[str, Any]) -> Any:
        made = _SPARSE[packed["type"]](_shape(packed["shape"]))
        made.data, made.indices, made.indptr = self.unpack(packed["arrays"])
        if (fault := sparse_fault(made)) is not None:
            raise ModelFolderError(f"a sparse matrix has {fault}: save it again.")
        return made

    def _object(self, packed: dict[str, Any]) -> Any:
        number = packed["number"]
        if number not in self._made:
            if type(number) is not int or not 0 <= number < len(self._objects):
                raise LookupError(f"there is no object {number!r:.40}")
            if number in self._begun:
                raise ModelFolderError(f"its object {number} holds itself.")
            self._begun.add(number)
            found = self._objects[number]
            kind = kind_named(found["type"])
            fields = {key: self.unpack(part) for key, part in found["fields"].items()}
            for given in (fields, fields.get("fitted")):
                if isinstance(given, dict) and REQUESTS in given:
                    raise ModelFolderError("its requests stand among what was fitted.")
            made = kind.put_together(fields)
            if "requests" in found:
                put_requests(made, found["requests"])
            kind.prove(made)
            self._made[number] = made
        return self._made[number]

    def _scalar(self, packed: dict[str, Any]) -> Any:
        dtype, value = _dtype(packed["dtype"]), self.unpack(packed["value"])
        if dtype.kind in "mM":
            return np.int64(value).view(dtype)
        return dtype.type(value)

    def _array(self, packed: dict[str, Any]) -> npt.NDArray[Any]:
        dtype = np.dtype("O") if packed["dtype"] == "|O" else _dtype(packed["dtype"])
        items, shape = self.unpack(packed["items"]), _shape(packed["shape"])
        if type(items) is not list or len(items) != math.prod(shape):
            raise ModelFolderError(f"it holds no array of the shape {shape}.")
        if dtype.kind in "mM":
            return np.array(items, np.int64).view(dtype).reshape(shape)
        if dtype.kind in "SU" and dtype.itemsize > _MOST_LETTERS * 4:
            raise ModelFolderError(f"it holds an array of the type {dtype}.")
        array = np.empty(len(items), dtype)
        # One by one: a list among objects would be spread over the array.
        for place, item in enumerate(items):
            array[place] = item
        return array.reshape(shape)

    def _masked(self, packed: dict[str, Any]) -> npt.NDArray[Any]:
        data, mask = self.unpack(packed["parts"])
        if data.shape != mask.shape or mask.dtype != bool:
            raise ModelFolderError("a mask has another shape than what it masks.")
        return np.ma.MaskedArray(data, mask)

    def _tensor(self, packed: dict[str, Any]) -> npt.NDArray[Any]:
        # A scalar array has no shape in some formats.
        return self._tensors[packed["name"]].reshape(_shape(packed["shape"]))

    def _skops(self, packed: dict[str, Any]) -> Any:
        name = packed["file"]
        if name not in self._opened:
            self._opened[name] = read_part(self._parts[name], name)
            if "requests" in packed:
                put_requests(self._opened[name], packed["requests"])
        return self._opened[name]


def _check_dtype(value: npt.NDArray[Any] | np.generic, where: str) -> None:
    """Refuse to write what `_dtype` would refuse to read, and more than 64 bits."""
    kind, size = value.dtype.kind, value.dtype.itemsize
    if kind not in "biufSUmMO" or (kind in _TENSOR_KINDS and size > 8):
        why = f"numbers of the type {value.dtype} have no place in the file"
        raise ModelFolderError(_unsaveable(value, where, why))


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not list or not all(type(n) is int and n >= 0 for n in shape):
        raise ModelFolderError(f"it holds an array of the shape {shape!r:.60}.")
    return tuple(shape)


def _dtype(name: Any) -> np.dtype[Any]:
    if type(name) is not str:
        raise ModelFolderError(f"it holds an array of the type {name!r:.60}.")
    dtype = np.dtype(name)
    if (
        dtype.names is not None
        or dtype.subdtype is not None
        or dtype.kind not in "biufcSUmM"
    ):
        raise ModelFolderError(f"it holds an array of the type {name!r}.")
    return dtype


def _unsaveable(value: Any, where: str, why: str) -> str:
    place = where.lstrip(".") or "the object"
    return (
        f"{place} is {value!r:.80}, of the type {type(value).__qualname__}, which "
        f"cannot be saved without a pickle ({why}): set it to something that can, "
        "such as a name, a number or an estimator of scikit-learn that is made of "
        "arrays, which trees and neighbours are not."
    )
