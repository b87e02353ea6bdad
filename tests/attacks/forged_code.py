"""What a forged model may ask for: functions, files, links and sizes, one by one."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forging import edit_json, edit_part, edit_schema, places_in, sign
from forging import find as _at

__all__ = ["CODE", "forge_code"]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def _node(name: str, loader: str, content: Any = None, **more: Any) -> dict[str, Any]:
    module, _, cls = name.rpartition(".")
    node = {"__class__": cls, "__module__": module, "__loader__": loader}
    return node | ({} if content is None else {"content": content}) | more


def _text(value: str) -> dict[str, Any]:
    return _node("builtins.str", "JsonNode", json.dumps(value), is_json=True)


def _called(name: str, *arguments: str) -> dict[str, Any]:
    inner = _node("builtins.tuple", "TupleNode", [_text(one) for one in arguments])
    return _node(name, "ConstructorFromReduceNode", inner)


def _attribute(name: str, value: dict[str, Any], owner: str) -> Callable[[Any], None]:
    """Give an object of a tree another attribute."""

    def change(tree: Any) -> None:
        for way in [[], *places_in(tree)]:
            one = _at(tree, way)
            if isinstance(one, dict) and one.get("__class__") == owner:
                state = one["content"]
                state["content"][name] = value
                kinds = state["key_types"]["content"]
                kinds += [_node("builtins.str", "TypeNode")] * (
                    len(state["content"]) - len(kinds)
                )
                return
        raise ValueError(owner)

    return change


def _schema(change: Callable[[Any], Any]) -> Callable[[Path, Path], None]:
    return lambda folder, outside: edit_schema(folder / "part-0.skops", change)


def _setting(owner: str, name: str, make: Callable[[Path], dict[str, Any]]) -> Any:
    return lambda folder, outside: edit_schema(
        folder / "part-0.skops", _attribute(name, make(outside), owner)
    )


def _fields(change: Callable[[Any, Path], None]) -> Callable[[Path, Path], None]:
    return lambda folder, outside: edit_json(
        folder / "model.json", lambda content: change(content, outside)
    )


def _manifest(change: Callable[[dict[str, Any], Path], Any]) -> Any:
    def forge(folder: Path, outside: Path) -> None:
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest, outside)
        path.write_text(json.dumps(manifest))

    return forge


def _replace(name: str, data: Callable[[Path], bytes], signed: bool = True) -> Any:
    def forge(folder: Path, outside: Path) -> None:
        (folder / name).write_bytes(data(outside))
        if signed:
            sign(folder)

    return forge


def _link(name: str, hard: bool, target: str) -> Callable[[Path, Path], None]:
    def forge(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        path = outside / "secret.txt" if target == "secret" else Path(target)
        if hard:
            (folder / name).hardlink_to(path)
        else:
            (folder / name).symlink_to(path)

    return forge


def _special(name: str, make: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    def forge(folder: Path, outside: Path) -> None:
        del outside
        (folder / name).unlink()
        make(folder / name)

    return forge


def _zeros(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**30)


def _zip(files: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def _with_file(folder: Path, name: str, data: bytes, kind: int) -> None:
    path = folder / "part-0.skops"
    with zipfile.ZipFile(path) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    path.write_bytes(_zip(files | {name: data}, kind))
    sign(folder)


def _header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _as_arrays(data: bytes) -> Callable[[Path, Path], None]:
    def change(files: dict[str, bytes]) -> None:
        for name in files:
            if name.endswith(".npy"):
                files[name] = data

    return lambda folder, outside: edit_part(folder / "part-0.skops", change)


def _doubling(depth: int) -> Any:
    """A tree in which each list holds the one before twice, by its number."""
    tree = _node("builtins.list", "ListNode", [], __id__=1)
    for number in range(2, depth):
        stub = {"__id__": number - 1, "__loader__": "JsonNode", "content": "0"}
        stub |= {"__class__": "str", "__module__": "builtins"}
        tree = _node("builtins.list", "ListNode", [tree, stub], __id__=number)
    return tree


def _tree(tree: Any) -> Callable[[Path, Path], None]:
    whole = tree | {"protocol": 2, "_skops_version": "0.16"}
    data = _zip({"schema.json": json.dumps(whole).encode()})
    return _replace("part-0.skops", lambda outside: data)


def _typed(name: str) -> Callable[[Any, Path], None]:
    def change(content: Any, outside: Path) -> None:
        del outside
        content["objects"][0]["type"] = name

    return change


def _parameter(name: str, make: Callable[[Path], Any]) -> Callable[[Any, Path], None]:
    def change(content: Any, outside: Path) -> None:
        for one in content["objects"]:
            if one["type"] == "words.WordVectorFeaturizer":
                parameters = one["fields"]["parameters"]
                place = parameters["keys"].index(name)
                parameters["values"][place] = make(outside)

    return change


def _evil(outside: Path) -> bytes:
    return pickle.dumps(Evil(outside / "ran"))


_CATASTROPHE = r"(?:\w+\s*)+!"
_FIFO = getattr(os, "mkfifo", _zeros)

# By name: a function of the copied folder and of one outside that must stay as it is.
CODE: dict[str, Callable[[Path, Path], None]] = {
    "os.system by a constructor": lambda f, o: edit_schema(
        f / "part-0.skops",
        _attribute("x_", _called("os.system", f"touch {o}/ran"), "LogisticRegression"),
    ),
    "subprocess by a constructor": lambda f, o: edit_schema(
        f / "part-0.skops",
        _attribute(
            "x_", _called("subprocess.Popen", f"touch {o}/ran"), "LogisticRegression"
        ),
    ),
    "a function as tokenizer": _setting(
        "TfidfVectorizer", "tokenizer", lambda o: _node("os.system", "FunctionNode")
    ),
    "a ufunc as tokenizer": _setting(
        "TfidfVectorizer",
        "tokenizer",
        lambda o: _node("numpy.negative", "FunctionNode"),
    ),
    "a type as preprocessor": _setting(
        "TfidfVectorizer", "preprocessor", lambda o: _node("builtins.list", "TypeNode")
    ),
    "a function as analyzer": _setting(
        "TfidfVectorizer", "analyzer", lambda o: _node("builtins.open", "FunctionNode")
    ),
    "texts that name files": _setting(
        "TfidfVectorizer", "input", lambda o: _text("filename")
    ),
    "texts that are files": _setting(
        "TfidfVectorizer", "input", lambda o: _text("file")
    ),
    "a pattern without end": _setting(
        "TfidfVectorizer", "token_pattern", lambda o: _text(_CATASTROPHE)
    ),
    "a pattern of many stars": _setting(
        "TfidfVectorizer", "token_pattern", lambda o: _text(".*" * 30 + "!")
    ),
    "a cache of joblib": _setting(
        "Pipeline", "memory", lambda o: _text(str(o / "cache"))
    ),
    "a cache in a step": _setting(
        "LogisticRegression", "memory", lambda o: _text(str(o / "cache"))
    ),
    "a method": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "sklearn.pipeline.Pipeline",
            "MethodNode",
            {"func": "fit", "obj": _text("x")},
        ),
    ),
    "an operator": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "operator.methodcaller", "OperatorFuncNode", attrs=_text("mkdir")
        ),
    ),
    "a partial": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "functools.partial",
            "PartialNode",
            {
                "func": _node("os.mkdir", "FunctionNode"),
                "args": _text("x"),
                "kwds": _text("x"),
                "namespace": _text("x"),
            },
        ),
    ),
    "a tree of scikit-learn": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "sklearn.tree._tree.Tree",
            "TreeNode",
            _text("x"),
            __reduce__={"args": _text("x")},
        ),
    ),
    "a loss of another name": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "os.system", "LossNode", _text("x"), __reduce__={"args": _text("x")}
        ),
    ),
    "a node within itself": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node("builtins.list", "CachedNode", __id__=1),
    ),
    "an estimator that is not listed": _setting(
        "LogisticRegression",
        "x_",
        lambda o: _node(
            "sklearn.neighbors._classification.KNeighborsClassifier", "ObjectNode"
        ),
    ),
    "a tree that doubles": _tree(_doubling(60)),
    "a tree that is deep": _tree(
        {
            "content": json.loads("[" * 500 + "]" * 500),
            **_node("builtins.list", "ListNode"),
        }
    ),
    "an array of 8 exabytes": _as_arrays(_header("(1152921504606846976,)")),
    "an array of negative length": _as_arrays(_header("(-1,)")),
    "an array of objects": _as_arrays(_header("(1,)", "|O") + pickle.dumps([1])),
    "an array that is a pickle": lambda f, o: _as_arrays(_evil(o))(f, o),
    "an array whose head is code": _as_arrays(
        _header("(__import__('os').mkdir('ran'),)")
    ),
    "a zip that climbs out": lambda f, o: _with_file(
        f, "../../ran", b"x", zipfile.ZIP_STORED
    ),
    "a zip with an absolute name": lambda f, o: _with_file(
        f, f"{o}/ran", b"x", zipfile.ZIP_STORED
    ),
    "a bomb of zeros": lambda f, o: _with_file(
        f, "bomb.npy", bytes(2**30), zipfile.ZIP_DEFLATED
    ),
    "a part that is a pickle": _replace("part-0.skops", _evil),
    "a part that is no zip": _replace(
        "part-0.skops", lambda o: b"PK\x03\x04" + bytes(99)
    ),
    "tensors with a huge head": _replace(
        "tensors.safetensors", lambda o: struct.pack("<Q", 2**62) + b"{}"
    ),
    "tensors with offsets beyond": _replace(
        "tensors.safetensors",
        lambda o: (
            struct.pack("<Q", 60)
            + b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,2000000]}}'
        ),
    ),
    "tensors that are a pickle": _replace("tensors.safetensors", _evil),
    "deep JSON": _replace("model.json", lambda o: b"[" * 10**6),
    "keys twice": _replace(
        "model.json",
        lambda o: (
            b'{"model":{"is":"skops","file":"part-0.skops"},"model":{"is":"pickle"},"objects":[]}'
        ),
    ),
    "a number of a million digits": _replace(
        "model.json", lambda o: b'{"objects":[],"model":' + b"9" * 10**6 + b"}"
    ),
    "a name that climbs out": _manifest(
        lambda m, o: m["files"].update({"../outside/secret.txt": "0" * 64})
    ),
    "an absolute name": _manifest(
        lambda m, o: m["files"].update({f"{o}/secret.txt": "0" * 64})
    ),
    "a format of tomorrow": _manifest(lambda m, o: m.update(format_version=2**70)),
    "files that are a list": _manifest(lambda m, o: m.update(files=["model.json"])),
    "a manifest of 1 GB of zeros": _special("manifest.json", _zeros),
    "a manifest that is a pipe": _special("manifest.json", _FIFO),
    "a manifest that is a device": _link("manifest.json", False, "/dev/zero"),
    "a model that is a pipe": _special("model.json", _FIFO),
    "a model that is a device": _link("model.json", False, "/dev/zero"),
    "a link to a file outside": _link("model.json", False, "secret"),
    "a hard link to a file outside": _link("model.json", True, "secret"),
    "ours: a type of the system": _fields(_typed("os:system")),
    "ours: a type of another room": _fields(_typed("sktransfer.storage:locked")),
    "ours: an unlisted estimator": _fields(
        _typed("sklearn.neighbors._kde:KernelDensity")
    ),
    "ours: vectors of a path": _fields(
        _parameter("vectors", lambda o: str(o / "secret.txt"))
    ),
    "ours: a tokenizer by name": _fields(
        _parameter("tokenizer", lambda o: "os.system")
    ),
    "ours: packaged vectors of a path": _fields(
        lambda c, o: [
            one.update(fields={"packaged": [str(o), None, "float32", ""]})
            for one in c["objects"]
            if one["type"] == "words.WordVectors"
        ]
    ),
    "ours: an object that holds itself": _fields(
        lambda c, o: c["objects"][0].update(
            fields={
                "parameters": {"is": "object", "number": 0},
                "fitted": {"is": "object", "number": 0},
            }
        )
    ),
    "ours: an array of 8 exabytes": _fields(
        lambda c, o: c.update(
            model={"is": "array", "dtype": "<f8", "shape": [2**60], "items": []}
        )
    ),
    "ours: texts of 4 GB each": _fields(
        lambda c, o: c.update(
            model={
                "is": "array",
                "dtype": "<U1000000000",
                "shape": [9],
                "items": ["x"] * 9,
            }
        )
    ),
    "ours: a key that is a list": _fields(
        lambda c, o: c.update(model={"is": "dict", "items": [[[1], 2]]})
    ),
    "ours: a model that is no estimator": _fields(
        lambda c, o: c.update(model={"is": "path", "value": "/etc/passwd"})
    ),
}


def forge_code(name: str, folder: Path, outside: Path) -> None:
    """Forge a copied folder in the way of that name."""
    CODE[name](folder, outside)
