"""Saved models, and ways to forge them so that their digests are right."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot", "fun", "boring"]
_ROWS, _LABELS = TEXTS * 3, ["pos", "neg"] * 9
_WORDS = ["good", "bad", "lovely", "awful", "plot", "film", "fun", "boring"]
# What takes the place of a number, of a text, of a size.
_NUMBERS = (-1, 0, 1, 7, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), 10**400, 1e308, True)
_TEXTS = (
    "",
    "../x",
    "os.system",
    "file",
    "precomputed",
    "|O",
    "<U99999999",
    "V8",
    "a" * 9999,
)
_TARGETS = (0, -1, 1, 2**30, 2**40, "forged", None, [], {"is": "object", "number": 0})


def _models() -> dict[str, Callable[[Path], Any]]:
    from scipy.stats import loguniform
    from sklearn import config_context
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import StackingClassifier
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import (
        GridSearchCV,
        RandomizedSearchCV,
        StratifiedKFold,
        TunedThresholdClassifierCV,
    )
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC

    from sktransfer.baselines.nbsvm import nbsvm_baseline
    from sktransfer.baselines.vader import VaderClassifier
    from sktransfer.classifier.classifier import TransferSentimentClassifier
    from sktransfer.encoders.featurizer import BertFeaturizer
    from sktransfer.words.featurizer import WordVectorFeaturizer
    from sktransfer.words.vectors import WordVectors
    from tests.conftest import build_tiny_bert

    def words(**parameters: Any) -> Any:
        matrix = np.random.default_rng(0).normal(size=(len(_WORDS), 4))
        return WordVectorFeaturizer(WordVectors(_WORDS, matrix), **parameters)

    def bert(root: Path) -> Any:
        if not (root / "bert").exists():
            build_tiny_bert(root / "bert")
        return BertFeaturizer(str(root / "bert"), dtype="float32", device="cpu")

    def ours(encoder: Any, **parameters: Any) -> Any:
        small = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
        return TransferSentimentClassifier(encoder, device="cpu", **small | parameters)

    def asking(root: Path) -> Any:
        with config_context(enable_metadata_routing=True):
            inner = LogisticRegression().set_fit_request(sample_weight=True)
        drawn = RandomizedSearchCV(inner, {"C": loguniform(0.1, 9)}, n_iter=1, cv=2)
        folds = StratifiedKFold(2, shuffle=True, random_state=0)
        return make_pipeline(tfidf(), TunedThresholdClassifierCV(drawn, cv=folds))

    tfidf, linear = TfidfVectorizer, LogisticRegression
    return {
        "tfidf": lambda root: make_pipeline(tfidf(), linear()),
        "svc": lambda root: make_pipeline(tfidf(), SVC()),
        "bayes": lambda root: make_pipeline(CountVectorizer(), MultinomialNB()),
        "sparse": lambda root: make_pipeline(CountVectorizer(), SGDClassifier()),
        "calibrated": lambda root: make_pipeline(
            tfidf(), CalibratedClassifierCV(linear(), cv=2)
        ),
        "stacking": lambda root: make_pipeline(
            tfidf(), StackingClassifier([("a", linear()), ("b", MultinomialNB())], cv=2)
        ),
        "search": lambda root: make_pipeline(
            tfidf(), GridSearchCV(linear(), {"C": [1.0, 2.0]}, cv=2)
        ),
        "asking": asking,
        "nbsvm": lambda root: nbsvm_baseline(_ROWS),
        "lexicon": lambda root: VaderClassifier(),
        "words": lambda root: words(weighting="idf", n_components_removed=1),
        "words below": lambda root: make_pipeline(words(), linear()),
        "network": lambda root: ours(words()),
        "table": lambda root: ours(words(weighting="idf"), strategy="fine_tune"),
        "encoder": lambda root: bert(root),
        "transformer": lambda root: ours(
            bert(root), strategy="partial", n_trainable_layers=1
        ),
    }


MODELS = (
    "tfidf", "svc", "bayes", "sparse", "calibrated", "stacking", "search", "asking",
    "nbsvm", "lexicon", "words", "words below", "network", "table", "encoder",
    "transformer",
)  # fmt: skip


def make_models(root: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Folders of fitted models, by their names."""
    import warnings

    from sktransfer.persistence import save

    found, builders = {}, _models()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            model = builders[name](root).fit(_ROWS, _LABELS)
            if name == "sparse":
                model[-1].sparsify()
            save(model, root / "models" / name)
            found[name] = root / "models" / name
    return found


def sign(folder: Path) -> None:
    """Give the manifest the digests of the files as they are."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        manifest["files"][name] = digest
    path.write_text(json.dumps(manifest))


def write_as_skops(folder: Path) -> None:
    """Have a folder hold its model as one file of skops, as older ones do."""
    from sktransfer.bundles.sklearn_parts import write_part
    from sktransfer.persistence import load

    (folder / "part-0.skops").write_bytes(write_part(load(folder)))
    model = {"model": {"is": "skops", "file": "part-0.skops"}, "objects": []}
    (folder / "model.json").write_text(json.dumps(model))
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["part-0.skops"] = ""
    path.write_text(json.dumps(manifest))
    sign(folder)


def places_in(content: Any) -> list[list[Any]]:
    """Ways to every leaf and every dict of JSON."""
    found: list[list[Any]] = []

    def visit(one: Any, way: list[Any]) -> None:
        if way:
            found.append(way)
        items = one.items() if isinstance(one, dict) else enumerate(one)
        for key, value in items:
            if isinstance(value, (dict, list)):
                visit(value, [*way, key])
            else:
                found.append([*way, key])

    visit(content, [])
    return found


def put(content: Any, way: list[Any], value: Any) -> Any:
    """Replace what is at the end of a way; return what was there."""
    for key in way[:-1]:
        content = content[key]
    old = content[way[-1]]
    content[way[-1]] = value(old) if callable(value) else value
    return old


def edit_json(path: Path, change: Callable[[Any], Any]) -> Any:
    content = json.loads(path.read_text())
    told = change(content)
    path.write_text(json.dumps(content))
    sign(path.parent)
    return told


def edit_part(path: Path, change: Callable[[dict[str, bytes]], Any]) -> Any:
    """Change the files within a file of skops."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    told = change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    sign(path.parent)
    return told


def edit_schema(path: Path, change: Callable[[Any], Any]) -> Any:
    def edit(files: dict[str, bytes]) -> Any:
        tree = json.loads(files["schema.json"])
        told = change(tree)
        files["schema.json"] = json.dumps(tree).encode()
        return told

    return edit_part(path, edit)


def forge_array(array: np.ndarray, how: int) -> np.ndarray:
    """An array like another one, that fits it no longer in most ways."""
    flat = array.copy()
    if how == 0 or not array.size:
        return np.concatenate([np.atleast_1d(flat)] * 2)
    if how == 1:
        return np.atleast_1d(flat)[:-1]
    if how == 2:
        return flat.astype(np.int64 if array.dtype.kind == "f" else np.float32)
    if how == 3:
        return flat[None]
    if flat.dtype.kind in "iu":
        flat.flat[-1] = np.iinfo(flat.dtype).max if how == 4 else 10**4
    elif flat.dtype.kind == "f":
        flat.flat[-1] = np.nan if how == 4 else 1.5
    return flat


def forge_files(files: dict[str, bytes], name: str, how: int) -> str:
    """Change an array in a file of skops, sparse or not."""
    if name.endswith(".npz"):
        with np.load(io.BytesIO(files[name])) as held:
            arrays = dict(held)
        key = ["indices", "indptr", "data", "shape"][how % 4]
        arrays[key] = forge_array(arrays[key], 4 + how // 4 % 2)
        made = io.BytesIO()
        np.savez(made, **arrays)
    else:
        made = io.BytesIO()
        np.save(made, forge_array(np.load(io.BytesIO(files[name])), how))
        key = ""
    files[name] = made.getvalue()
    return f"{name} {key} {how}"


def forge_tensor(folder: Path, name: str, how: int) -> str:
    path = folder / "tensors.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors[name] = np.ascontiguousarray(forge_array(tensors[name], how))
    safetensors.numpy.save_file(tensors, path)
    # The shape that the model gives is the tensor's, half of the time.
    shape = list(tensors[name].shape)

    def change(content: Any) -> None:
        for way in places_in(content):
            if way[-1] == "name" and how % 2 == 0:
                one = content
                for key in way[:-1]:
                    one = one[key]
                if one["name"] == name:
                    one["shape"] = shape

    edit_json(folder / "model.json", change)
    return f"tensor {name} {how}"


def schema_nodes(tree: Any) -> Iterator[tuple[list[Any], str]]:
    """Ways to the plain values of a tree of skops."""
    for way in places_in(tree):
        if way[-1] == "content":
            yield way, "content"


def targets_of(folder: Path) -> list[Callable[[Path], str]]:
    """Forgeries of every array, number, name and shape that a model has."""
    found: list[Callable[[Path], str]] = []
    tensors = safetensors.numpy.load_file(folder / "tensors.safetensors")
    for name in list(tensors)[:4]:
        found += [
            lambda copied, name=name, how=how: forge_tensor(copied, name, how)
            for how in range(6)
        ]
    content = json.loads((folder / "model.json").read_text())
    ways = [way for way in places_in(content) if way[-1] != "is"]
    step = max(1, len(ways) // 10)
    for number, way in enumerate(ways[::step]):
        value = _TARGETS[number % len(_TARGETS)]
        found.append(
            lambda copied, way=way, value=value: (
                f"{way} is {value!r}, was "
                f"{edit_json(copied / 'model.json', lambda c: put(c, way, value))!r}"
            )
        )
    for part in sorted(folder.glob("*.skops")):
        found += list(_targets_of_part(part))
    return found


def _targets_of_part(part: Path) -> Iterator[Callable[[Path], str]]:
    with zipfile.ZipFile(part) as archive:
        names = archive.namelist()
        tree = json.loads(archive.read("schema.json"))
    for name in [one for one in names if one.endswith((".npy", ".npz"))][:4]:
        for how in range(8 if name.endswith(".npz") else 6):
            yield lambda copied, name=name, how=how: edit_part(
                copied / part.name, lambda files: forge_files(files, name, how)
            )
    leaves = [
        way
        for way in places_in(tree)
        if way[-1] == "content" and isinstance(find(tree, way), str)
    ]
    values = ["-1", "0", "9999", '"forged"', "null", "1e300", "true", '"file"', "[]"]
    step = max(1, len(leaves) // 10)
    for number, way in enumerate(leaves[::step]):
        value = values[number % len(values)]
        yield (
            lambda copied, way=way, value=value: (
                f"{way[-4:]} is {value}, was "
                f"{edit_schema(copied / part.name, lambda t: put(t, way, value))}"
            )
        )


def find(content: Any, way: list[Any]) -> Any:
    for key in way:
        content = content[key]
    return content


def forge_randomly(folder: Path, seed: int) -> str:
    """One change of one file, drawn by the seed."""
    draw = random.Random(seed)
    parts = sorted(folder.glob("*.skops"))
    tensors = safetensors.numpy.load_file(folder / "tensors.safetensors")
    kinds = ["json"] + ["tensor"] * bool(tensors) + ["schema", "array"] * bool(parts)
    kind = draw.choice(kinds)
    if kind == "tensor":
        return forge_tensor(folder, draw.choice(sorted(tensors)), draw.randrange(6))
    if kind == "array":
        part = draw.choice(parts)

        def change(files: dict[str, bytes]) -> str:
            names = [one for one in files if one != "schema.json"]
            return forge_files(files, draw.choice(names), draw.randrange(8))

        return edit_part(part, change)

    def tamper(content: Any) -> str:
        way = draw.choice(places_in(content))
        value = draw.choice([*_NUMBERS, *_TEXTS, None, [], {}, "swap", "double"])
        if value in ("swap", "double"):
            others = places_in(content)
            value = copy.deepcopy(find(content, draw.choice(others)))
        old = put(content, way, value)
        return f"{way[-4:]} was {old!r:.60} is {value!r:.60}"

    if kind == "schema":
        return edit_schema(draw.choice(parts), tamper)
    return str(edit_json(folder / "model.json", tamper))
