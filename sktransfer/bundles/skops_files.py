"""Files of skops, proved before skops makes anything of them.

Such a file is a zip archive of a tree in JSON and of arrays. The tree may ask for
nothing but data and estimators; no array may be larger than its bytes; and what stands
for an object elsewhere in the tree has to be spelled out as it is there, so that a
small tree cannot unfold into a large one.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from sktransfer.exceptions import ModelFolderError

__all__ = ["check_skops_file"]

_SCHEMA = "schema.json"
_MOST_SCHEMA = 2**28
_DEEPEST = 400
# Matrices are compressed, ones and zeros most of all.
_SMALL, _MOST_RATIO = 2**24, 100
_MEMBERS = {
    "_is_array",
    "col",
    "coords",
    "data",
    "format",
    "indices",
    "indptr",
    "row",
    "shape",
}
_NODES = {
    "BytesNode",
    "ConstructorFromReduceNode",
    "DTypeNode",
    "DefaultDictNode",
    "DictNode",
    "FunctionNode",
    "JsonNode",
    "ListNode",
    "LossNode",
    "MaskedArrayNode",
    "NdArrayNode",
    "ObjectNode",
    "RandomStateNode",
    "SetNode",
    "SliceNode",
    "SparseMatrixNode",
    "TupleNode",
    "TypeNode",
}
# Types that keys of a dict are made of, from text.
_KEYS = ("builtins.bool", "builtins.float", "builtins.int", "builtins.str", "numpy.")


def check_skops_file(
    data: bytes, name: str, check_types: Callable[[], None] | None = None
) -> None:
    """Raise ModelFolderError unless it is safe to have skops make its objects.

    `name` is the file's; where an array will not do, `check_types` may say first that
    the types will not.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        stored = all(one.compress_type == zipfile.ZIP_STORED for one in members)
        if not stored or sum(one.file_size for one in members) > len(data):
            raise ModelFolderError(
                "it unpacks into more than it holds: save the model again."
            )
        if len({one.filename for one in members}) != len(members):
            raise ModelFolderError("it holds two files of one name.")
        if archive.getinfo(_SCHEMA).file_size > _MOST_SCHEMA:
            raise ModelFolderError("its tree is larger than any model's.")
        tree = _Tree(name)
        tree.check(json.loads(archive.read(_SCHEMA)))
        try:
            for file, loader in tree.files.items():
                _check_file(archive.read(file), loader, file)
        except ModelFolderError:
            if check_types is not None:
                check_types()
            raise


class _Tree:
    """Goes through the nodes of a tree."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, str] = {}
        self._sizes: dict[Any, int] = {}

    def check(self, part: Any, depth: int = 0) -> int:
        """Raise ModelFolderError for a node that will not do; return their number.

        Of nodes with one number skops makes the first for all. They are equally large,
        so that it meets no more nodes than are written, and none within itself.
        """
        if depth > _DEEPEST:
            raise ModelFolderError("its tree is too deep: save the model again.")
        inner = part.values() if isinstance(part, dict) else part
        if not isinstance(part, (dict, list)):
            return 0
        size = 1 + sum(self.check(one, depth + 1) for one in inner)
        if isinstance(part, dict) and ("__loader__" in part or "__id__" in part):
            self._check_node(part)
            number = part.get("__id__")
            if number is not None and self._sizes.setdefault(number, size) != size:
                raise ModelFolderError("two of its objects have one number.")
        return size

    def _check_node(self, node: dict[str, Any]) -> None:
        loader = node.get("__loader__")
        if loader not in _NODES:
            raise ModelFolderError(
                f"{self.name} asks for {_type_of(node)} by {loader!r:.60}, which are "
                "not made from files."
            )
        if loader == "ConstructorFromReduceNode" and _type_of(node) != "numpy.dtype":
            raise ModelFolderError(f"it would call {_type_of(node)}.")
        if loader == "DictNode":
            self._check_keys(node)
        if node.get("file") is not None:
            file = node["file"]
            if self.files.setdefault(file, str(loader)) != loader:
                raise ModelFolderError(f"{file} is to be an array and something else.")

    def _check_keys(self, node: dict[str, Any]) -> None:
        types = node["key_types"]
        kinds = types["content"]
        if types.get("__loader__") != "ListNode" or not all(
            one.get("__loader__") == "TypeNode" and _type_of(one).startswith(_KEYS)
            for one in kinds
        ):
            raise ModelFolderError("the keys of a dict are no texts and no numbers.")
        if len(kinds) != len(node["content"]):
            raise ModelFolderError("a dict has other keys than it says.")


def _check_file(data: bytes, loader: str, name: str) -> None:
    if loader == "NdArrayNode":
        _check_array(io.BytesIO(data), len(data), name)
    elif loader == "SparseMatrixNode":
        _check_matrix(data, name)


def _type_of(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _check_matrix(data: bytes, name: str) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        size = sum(one.file_size for one in members)
        if size > _SMALL + _MOST_RATIO * len(data):
            raise ModelFolderError(f"{name} unpacks into {size} bytes.")
        for one in members:
            if one.filename.removesuffix(".npy") not in _MEMBERS:
                raise ModelFolderError(f"{name} holds {one.filename!r}.")
            with archive.open(one) as file:
                _check_array(file, one.file_size, name)


def _check_array(file: Any, size: int, name: str) -> None:
    """Raise unless a file of numpy holds the numbers that its head announces."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ModelFolderError(f"{name} has the version {version} of numpy's format.")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    n_bytes = math.prod(shape) * dtype.itemsize
    if dtype.kind not in "biufcSUmM" or not dtype.isnative or dtype.names:
        raise ModelFolderError(f"{name} holds numbers of the type {dtype}.")
    if min(shape, default=0) < 0 or file.tell() + n_bytes != size:
        raise ModelFolderError(f"{name} holds no array of the shape {shape}.")
