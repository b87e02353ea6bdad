"""Small fitted estimators of every kind, and what many threads may ask of them."""

from __future__ import annotations

import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sktransfer.baselines.registry import NAMES, find_baseline
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.strategies.registry import STRATEGIES
from sktransfer.comparison.comparing import compare_strategies
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.explanation import explain
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import HAN, LETTERS, WORDS, build_tiny_bert

__all__ = ["KINDS", "Call", "Kit", "calls_of", "fresh_calls"]

_ENGLISH = [word for word in WORDS.split() if word.isalpha()]
_METHODS = ("predict", "predict_proba", "decision_function", "transform")


class Kit:
    """Texts, labels and encoders that all kinds are made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw = np.random.default_rng(0)
        self.labels = np.array(["neg", "pos"] * 24)
        sides = {"neg": ["bad", "awful", "poor"], "pos": ["good", "great", "fine"]}
        self.texts = [
            " ".join([*draw.choice(_ENGLISH, draw.integers(1, 12)), *sides[label][:2]])
            for label in self.labels
        ]
        self.chinese = ["".join(draw.choice([*HAN], 8)) for _ in self.labels]
        names = [*_ENGLISH, *HAN]
        self.vectors = WordVectors(names, draw.normal(size=(len(names), 8)))
        self.tiny = str(build_tiny_bert(folder / "tiny-bert"))

    def bert(self, **parameters: Any) -> BertFeaturizer:
        defaults = {"model": self.tiny, "dtype": "float32", "device": "cpu"}
        return BertFeaturizer(**defaults | parameters)

    def words(self, **parameters: Any) -> WordVectorFeaturizer:
        return WordVectorFeaturizer(self.vectors, **parameters)

    def network(self, encoder: Any, **parameters: Any) -> TransferSentimentClassifier:
        defaults = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
        parameters = defaults | {"dtype": "float32"} | parameters
        return TransferSentimentClassifier(encoder, **parameters)

    def other_architecture(self, name: str) -> str:
        """Folder of a small model that the packed encoder does not compute."""
        import torch
        from transformers import AutoConfig, AutoModel

        folder = self.folder / name
        config = AutoConfig.for_model(
            name,
            vocab_size=AutoConfig.from_pretrained(self.tiny).vocab_size,
            hidden_size=32,
            embedding_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=70,
            pad_token_id=0,
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            AutoModel.from_config(config).save_pretrained(folder)
        for file in Path(self.tiny).glob("tokenizer*.json"):
            (folder / file.name).write_bytes(file.read_bytes())
        return str(folder)


@dataclass
class Call:
    """Something that a thread may do, and what came of it when there was one thread."""

    name: str
    do: Callable[[np.random.Generator], Any]
    expected: Any


def calls_of(model: Any, kit: Kit, X: Any = None) -> list[Call]:
    """Everything that may be asked of a fitted estimator."""
    X = kit.texts if X is None else X
    texts = isinstance(X, list)
    classifies = hasattr(model, "predict")
    batches = [X[:1], X[1:4], X[4:12], X]
    made: list[tuple[str, Callable[..., Any]]] = []
    for method in (name for name in _METHODS if hasattr(model, name)):
        for batch in batches:
            made.append((method, lambda _, m=method, b=batch: getattr(model, m)(b)))
    ask = next(name for name in _METHODS[::-1] if hasattr(model, name))
    made += [
        ("clone", lambda _: repr(clone(model).get_params())),
        ("get_params", lambda _: sorted(model.get_params())),
        ("repr", lambda _: repr(model)),
        ("pickle", lambda _: getattr(pickle.loads(pickle.dumps(model)), ask)(X[:4])),
        ("save", lambda _: getattr(_saved(model), ask)(X[:4])),
    ]
    if classifies:
        labels = np.resize(kit.labels, len(batches[2]) if texts else 8)
        made.append(("score", lambda _: model.score(X[4:12], labels)))
    if classifies and texts:
        for text in [*X[:2], ""]:
            made.append(("explain", lambda _, t=text: explain(model, t).contributions))
    random = np.random.default_rng(0)
    return [Call(name, do, _warm(do, random)) for name, do in made]


def fresh_calls(featurizer: Any, kit: Kit) -> list[Call]:
    """Texts that nobody has seen before, read by a copy of one's own as well."""

    def ask(random: np.random.Generator) -> float:
        words = ["".join(random.choice([*LETTERS], 5)) for _ in range(20)]
        words += [*random.choice([*_ENGLISH, *HAN], 20)]
        texts = [" ".join(random.choice(words, 12)) for _ in range(8)]
        own = pickle.loads(pickle.dumps(featurizer))
        return float(abs(featurizer.transform(texts) - own.transform(texts)).max())

    return [Call("unseen texts", ask, 0.0)]


def _warm(do: Callable[..., Any], random: np.random.Generator) -> Any:
    do(random)
    return do(random)


def _saved(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder, "model"))
        return load(Path(folder, "model"))


def _strategy(name: str) -> Callable[[Kit], Iterator[list[Call]]]:
    def make(kit: Kit) -> Iterator[list[Call]]:
        yield calls_of(
            kit.network(kit.bert(), strategy=name).fit(kit.texts, kit.labels), kit
        )
        windows = kit.bert(max_length=6, long_text="window", cache=None)
        model = kit.network(windows, strategy=name, hidden_layer_sizes=(4,))
        yield calls_of(model.fit(kit.texts, kit.labels), kit)

    return make


def _words(kit: Kit) -> Iterator[list[Call]]:
    for strategy in ("feature_extraction", "fine_tune", "contrastive"):
        for encoder in (kit.words(), kit.words(weighting="sif", oov="random")):
            model = kit.network(encoder, strategy=strategy)
            yield calls_of(model.fit(kit.texts, kit.labels), kit)


def _numbers(kit: Kit) -> Iterator[list[Call]]:
    import pandas as pd

    X = np.random.default_rng(0).normal(size=(48, 40)).astype(np.float32)
    frame = pd.DataFrame(X, columns=[f"c{number}" for number in range(40)])
    for rows in (X, sparse.csr_array(X * (X > 1)), frame):
        for sizes in ((), (4,)):
            model = kit.network(None, hidden_layer_sizes=sizes)
            yield calls_of(model.fit(rows, kit.labels), kit, rows)


def _bert(kit: Kit) -> Iterator[list[Call]]:
    disk = str(kit.folder / "disk")
    for parameters in (
        {"pooling": "mean"},
        {"pooling": ("max", "cls", "mean"), "cache": None},
        {"pooling": ("max", "mean"), "cache": disk, "share": "layers"},
        {"layers": (-1, -2), "normalize": True},
        {"dtype": "int8", "cache": None},
        {"long_text": "window", "max_length": 6, "cache": None},
        {"batch_tokens": 16, "cache": None},
    ):
        featurizer = kit.bert(**parameters).fit(kit.texts)
        yield calls_of(featurizer, kit)
        if parameters.get("dtype") != "int8":
            yield [Call("unseen texts", _unseen_by(featurizer, kit), 0.0)]


def _unseen_by(featurizer: Any, kit: Kit) -> Callable[[np.random.Generator], float]:
    own = kit.bert(**{**featurizer.get_params(), "cache": None}).fit(kit.texts)

    def ask(random: np.random.Generator) -> float:
        texts = [" ".join(random.choice(_ENGLISH, 5)) for _ in range(8)]
        return float(abs(featurizer.transform(texts) - own.transform(texts)).max())

    return ask


def _word_vectors(kit: Kit) -> Iterator[list[Call]]:
    kit.vectors.save(kit.folder / "vectors")
    opened = WordVectors.load(kit.folder / "vectors")
    for parameters in (
        {"pooling": ("mean", "max", "min", "sum")},
        {"weighting": "idf", "oov": "random", "random_state": 0},
        {"weighting": "sif", "oov": "zero", "n_components_removed": 1},
        {"vectors": opened, "max_length": 5, "normalize": True},
    ):
        featurizer = kit.words().set_params(**parameters)
        featurizer.fit(kit.texts + kit.chinese)
        yield calls_of(featurizer, kit, kit.texts[:24] + kit.chinese[:24])
        yield fresh_calls(featurizer, kit)


def _baselines(kit: Kit) -> Iterator[list[Call]]:
    for name in NAMES:
        texts = kit.chinese if name == "snownlp" else kit.texts
        model = find_baseline(name).estimator(texts)
        yield calls_of(model.fit(texts, kit.labels), kit, texts)


def _wrapped(kit: Kit) -> Iterator[list[Call]]:
    def fitted(model: Any) -> list[Call]:
        return calls_of(model.fit(kit.texts, kit.labels), kit)

    yield fitted(make_pipeline(kit.bert(), LogisticRegression()))
    yield fitted(make_pipeline(kit.words(), kit.network(None)))
    yield fitted(make_pipeline(TfidfVectorizer(), kit.network(None)))
    named = make_pipeline(kit.bert(), LogisticRegression())
    yield fitted(named.set_output(transform="pandas"))
    grid = {"hidden_layer_sizes": [(), (4,)]}
    yield fitted(GridSearchCV(kit.network(kit.bert(), strategy="partial"), grid, cv=2))
    strategies = {"tuned": kit.network(kit.bert(), strategy="fine_tune")}
    compared = compare_strategies(
        kit.texts, kit.labels, strategies=strategies, cv=2, random_state=0
    )
    yield calls_of(compared.best_estimator(), kit)
    model = kit.network(kit.bert(), strategy="lora").fit(kit.texts, kit.labels)
    yield calls_of(_saved(model), kit)
    yield calls_of(pickle.loads(pickle.dumps(model)), kit)


def _architectures(kit: Kit) -> Iterator[list[Call]]:
    for name in ("albert", "mpnet"):
        encoder = kit.bert(model=kit.other_architecture(name))
        yield calls_of(clone(encoder).set_params(cache=None).fit(kit.texts), kit)
        for strategy in ("fine_tune", "lora"):
            model = kit.network(encoder, strategy=strategy)
            yield calls_of(model.fit(kit.texts, kit.labels), kit)


KINDS: dict[str, Callable[[Kit], Iterator[list[Call]]]] = {
    **{name.replace("_", "-"): _strategy(name) for name in STRATEGIES},
    "words": _words,
    "numbers": _numbers,
    "bert": _bert,
    "word-vectors": _word_vectors,
    "baselines": _baselines,
    "wrapped": _wrapped,
    "architectures": _architectures,
}
