"""Wrong values for every public name: each has to be told by place, value and remedy."""

# ruff: noqa: E501, TID251 - a case is easier to read in one line
from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ledger import Answer, Ledger, in_child, parse
from scipy import sparse

import sktransfer as sk
from sktransfer.exceptions import SktransferError

NAME = "Python"
_MOST_CHARACTERS = 900
# Cases that share a process: it takes seconds to begin.
_AT_ONCE = 250
_REMEDIES = (
    "expected", "needed", "needs", "pass ", "drop ", "did you mean", "must ", "choose",
    "check", "one of", "at least", "fit ", "call ", "write ", "give", "name ", "make",
    "say ", "remove", "move", "takes", "only",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """A call with something wrong.

    Of each of `says` the message has to hold one word: a str is the only one. Where
    `may_work`, no error is right, too.
    """

    what: str
    call: Callable[[], Any]
    says: tuple[str | tuple[str, ...], ...]
    may_work: bool = False


class Unspeakable:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("it has no words for itself")


class Verbose:
    """An object that says too much."""

    def __repr__(self) -> str:
        return "blah " * 2_000_000


def _series(*values: Any, **options: Any) -> pd.Series:
    return pd.Series(list(values), **options)


# What is no collection of texts: what it is, how it is made, words that tell it.
WRONG_TEXTS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "None": (lambda: None, ("None", "without X_val")),
    "a str": (lambda: "one text", ("single", "'one text'")),
    "bytes": (lambda: b"one text", ("bytes",)),
    "a path": (lambda: Path("texts.csv"), ("Path",)),
    "a number": (lambda: 3, ("int",)),
    "nothing": (list, ("no texts", "no rows", "0")),
    "a dict": (lambda: {"a": "b"}, ("dict",)),
    "a set": (lambda: {"a", "b"}, ("set",)),
    "numbers": (lambda: [1, 2, 3], ("1", "int", "numbers")),
    "bools": (lambda: [True, False] * 8, ("bool", "True", "numbers", "1D array")),
    "a sparse matrix": (lambda: sparse.eye(16, format="csr"), ("sparse", "16", "numbers", "table")),
    "0-d": (lambda: np.array("good"), ("0 dim", "shape ()")),
    "2-D": (lambda: np.array([["good"]] * 16), ("2 dim", "(16, 1)", "table")),
    "a table": (lambda: pd.DataFrame({"text": ["good"] * 16}), ("text", "(16, 1)")),
    "a None in it": (lambda: ["good"] * 15 + [None], ("[15]", "position 15")),
    "a NaN in it": (lambda: ["good"] * 15 + [math.nan], ("[15]", "position 15")),
    "bytes in it": (lambda: ["good"] * 15 + [b"bad"], ("[15]", "position 15")),
    "a number in it": (lambda: ["good"] * 15 + [17], ("[15]", "position 15")),
    "a list in it": (lambda: ["good"] * 15 + [["bad"]], ("[15]", "position 15")),
    "ragged lists": (lambda: [["a"], ["b", "c"]] * 8, ("[0]",)),
    "dicts": (lambda: [{"text": "good"}] * 16, ("[0]", "dict")),
    "dates": (lambda: [dt.date(2020, 1, 1)] * 16, ("[0]", "date")),
    "paths": (lambda: [Path("a.txt")] * 16, ("[0]", "Path")),
    "a missing one of pandas": (lambda: _series(*["a"] * 15, pd.NA), ("[15]", "position 15")),
    "a category that is missing": (
        lambda: _series(*["a"] * 15, None, dtype="category"), ("[15]", "position 15"),
    ),
    "a masked array": (
        lambda: np.ma.array(["a"] * 16, mask=[False] * 15 + [True]), ("[15]", "position 15"),
    ),
    "what cannot be shown": (lambda: ["good"] * 15 + [Unspeakable()], ("[15]", "position 15")),
    "what says too much": (lambda: ["good"] * 15 + [Verbose()], ("[15]", "position 15")),
    "a generator of numbers": (lambda: (n for n in range(16)), ("[0]", "generator")),
    "a lone surrogate": (lambda: ["good \ud800"] + ["bad"] * 15, ("[0]", "different texts")),
    "NULs": (lambda: ["a\0b", "\0"] * 8, ("[0]", "different texts")),
    "a text of 10 MB": (lambda: ["good " * 2_000_000] + ["bad"] * 15, ("[0]", "different texts")),
    "texts as numbers": (lambda: np.array(["1", "2"] * 8), ()),
    "texts of two sorts of str": (lambda: [np.str_("good"), "bad"] * 8, ()),
    "a duplicate index": (lambda: _series(*["a", "b"] * 8, index=[0] * 16), ()),
}  # fmt: skip
_MAY_WORK = {
    "a lone surrogate", "NULs", "a text of 10 MB", "texts as numbers",
    "texts of two sorts of str", "a duplicate index",
}  # fmt: skip
_OTHERWISE = {
    ("WordVectorFeaturizer.words_of", "nothing"),
    ("compare_predictions texts", "None"),
}
# A classifier of numbers takes them.
_NUMBERS = {"numbers", "bools", "a sparse matrix"}

LABELS = ["pos", "neg"] * 8
OTHERS = [f"book no {n}, {'dull' if n % 2 else 'fun'}" for n in range(16)]
TEXTS = [f"film no {n} is {'bad' if n % 2 else 'good'}" for n in range(16)]

WRONG_LABELS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "None": (lambda: None, ("None", "without y_val")),
    "a str": (lambda: "pos", ("pos", "str", "single")),
    "a number": (lambda: 3, ("3", "int")),
    "too few": (lambda: LABELS[:-1], ("15", "16")),
    "too many": (lambda: [*LABELS, "pos"], ("17", "16")),
    "nothing": (list, ("0",)),
    "0-d": (lambda: np.array("pos"), ("0", "()", "ndarray")),
    "2-D": (lambda: np.array([LABELS, LABELS]).T, ("(16, 2)", "a table")),
    "one class": (lambda: ["pos"] * 16, ("'pos'",)),
    "a NaN": (lambda: [0.0, 1.0] * 7 + [1.0, math.nan], ("[15]", "position 15")),
    "infinity": (lambda: [0.0, 1.0] * 7 + [1.0, math.inf], ("[15]", "position 15")),
    "a None": (lambda: [*LABELS[:-1], None], ("[15]", "position 15")),
    "two kinds": (lambda: [*LABELS[:-1], 3], ("mixes", "type int")),
    "fractions": (lambda: np.linspace(0, 1, 16), ("0.0", "continuous", "float")),
    "lists": (lambda: [["pos"], ["neg"]] * 8, ("list", "(16, 1)")),
    "ragged lists": (lambda: [["pos"], ["neg", "a"]] * 8, ("list", "several lengths")),
    "a dict": (lambda: dict.fromkeys(range(16), "pos"), ("dict",)),
    "dicts": (lambda: [{"a": 1}, {"b": 1}] * 8, ("dict",)),
    "sparse": (lambda: sparse.eye(16, format="csr"), ("sparse", "csr_", "()")),
    "a missing one of pandas": (lambda: _series(*LABELS[:-1], pd.NA), ("[15]", "position 15")),
    "a category that is missing": (
        lambda: _series(*LABELS[:-1], None, dtype="category"), ("[15]", "position 15"),
    ),
    "a masked array": (
        lambda: np.ma.array(LABELS, mask=[False] * 15 + [True]), ("[15]", "position 15"),
    ),
    "what cannot be shown": (lambda: [*LABELS[:-1], Unspeakable()], ("[15]", "type")),
    "complex": (lambda: [1j, 2j] * 8, ("complex",)),
    "a duplicate index": (lambda: _series(*LABELS, index=[0] * 16), ()),
    "bools": (lambda: [True, False] * 8, ()),
    "a generator": (lambda: (label for label in LABELS), ("generator",)),
}  # fmt: skip
# scikit-learn takes a column, and probabilities are fractions.
_LABELS_OTHERWISE = {("a", "fractions"), ("a", "one class"), ("y_val", "one class")}
_LABELS_MAY_WORK = {"a duplicate index", "bools", "a generator", "lists"}

WRONG_WEIGHTS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "too few": (lambda: [1.0] * 15, ("15",)),
    "negative": (lambda: [1.0] * 15 + [-1.0], ("-1",)),
    "NaN": (lambda: [1.0] * 15 + [math.nan], ("nan", "missing")),
    "infinite": (lambda: [1.0] * 15 + [math.inf], ("inf",)),
    "all zero": (lambda: [0.0] * 16, ("0", "zero", "positive")),
    "strings": (lambda: ["1.0"] * 16, ("'1.0'", "str")),
    "2-D": (lambda: np.ones((16, 1)), ("(16, 1)",)),
    "a dict": (lambda: {"pos": 2.0}, ("dict",)),
    "complex": (lambda: np.ones(16) * 1j, ("complex", "1j")),
}


# --- what is called, made anew in each process ----------------------------------------


@functools.cache
def bert() -> sk.BertFeaturizer:
    return sk.BertFeaturizer(str(PLACE / "bert"), device="cpu", dtype="float32")


@functools.cache
def vectors() -> sk.WordVectors:
    words = ["good", "bad", "film", "the", "is"]
    return sk.WordVectors(words, np.eye(5, dtype=np.float32))


def featurizer(**parameters: Any) -> sk.WordVectorFeaturizer:
    return sk.WordVectorFeaturizer(vectors(), **parameters)


def transfer(encoder: Any = None, **parameters: Any) -> sk.TransferSentimentClassifier:
    made = featurizer() if encoder is None else encoder
    short = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    return sk.TransferSentimentClassifier(made, **short | parameters)


@functools.cache
def fitted() -> sk.TransferSentimentClassifier:
    return transfer().fit(TEXTS, LABELS)


def of_numbers(**parameters: Any) -> Any:
    return sk.TransferSentimentClassifier(max_epochs=1, **parameters)


@functools.cache
def comparison() -> sk.StrategyComparison:
    right = np.array(LABELS)
    other = right.copy()
    other[:5] = right[1:6]
    shares = np.where(right[:, None] == ["neg", "pos"], 0.8, 0.2)
    predictions = {
        "a": shares,
        "b": np.where(other[:, None] == ["neg", "pos"], 0.7, 0.3),
    }
    return sk.compare_predictions(
        right, predictions, texts=TEXTS, classes=["neg", "pos"]
    )


def compare(X: Any = TEXTS, y: Any = LABELS, **options: Any) -> Any:
    cheap = {"strategies": ["nbsvm"], "cv": 2, "random_state": 0}
    return sk.compare_strategies(X, y, **cheap | options)


def predictions(given: Any, y: Any = LABELS, **options: Any) -> Any:
    return sk.compare_predictions(y, given, **options)


# Names of places, and what takes texts there.
TEXT_TAKERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "BertFeaturizer.fit": ("X", lambda X: bert().fit(X)),
    "BertFeaturizer.transform": ("X", lambda X: bert().fit([""]).transform(X)),
    "BertFeaturizer.transform_to": (
        "X", lambda X: bert().fit([""]).transform_to(X, PLACE / f"{os.getpid()}.npy"),
    ),
    "WordVectorFeaturizer.fit": ("X", lambda X: featurizer().fit(X)),
    "WordVectorFeaturizer.fit, weighting": (
        "X", lambda X: featurizer(weighting="sif").fit(X),
    ),
    "WordVectorFeaturizer.transform": (
        "X", lambda X: featurizer().fit(TEXTS).transform(X),
    ),
    "WordVectorFeaturizer.words_of": (
        "X", lambda X: featurizer().fit(TEXTS).words_of(X),
    ),
    "WordVectorTrainer.learn": (
        "texts", lambda X: sk.WordVectorTrainer(min_count=1, epochs=1).learn(X),
    ),
    "TransferSentimentClassifier.fit": ("X", lambda X: transfer().fit(X, LABELS)),
    "TransferSentimentClassifier.partial_fit": (
        "X", lambda X: transfer().partial_fit(X, LABELS, ["neg", "pos"]),
    ),
    "TransferSentimentClassifier.fit X_val": (
        "X_val", lambda X: transfer().fit(TEXTS, LABELS, X_val=X, y_val=LABELS),
    ),
    "TransferSentimentClassifier.predict": ("X", lambda X: fitted().predict(X)),
    "VaderClassifier.fit": ("X", lambda X: sk.VaderClassifier().fit(X, LABELS)),
    "SnowNLPClassifier.fit": ("X", lambda X: sk.SnowNLPClassifier().fit(X, LABELS)),
    "compare_strategies X": ("X", lambda X: compare(X)),
    "compare_strategies source": (
        "source", lambda X: compare(strategies=["tfidf"], source=(X, LABELS)),
    ),
    "compare_predictions texts": (
        "texts", lambda X: predictions({"a": LABELS}, texts=X),
    ),
    "pool_domains": ("", lambda X: sk.pool_domains((X, LABELS), (TEXTS, LABELS))),
    "suggest": ("unlabelled", lambda X: sk.suggest(fitted(), X, 2)),
}  # fmt: skip

LABEL_TAKERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "TransferSentimentClassifier.fit": ("y", lambda y: transfer().fit(TEXTS, y)),
    "TransferSentimentClassifier.fit y_val": (
        "y_val",
        lambda y: transfer().fit(TEXTS, LABELS, X_val=TEXTS, y_val=y),
    ),
    "TransferSentimentClassifier.partial_fit": (
        "y",
        lambda y: transfer().partial_fit(TEXTS, y, ["neg", "pos"]),
    ),
    "NBSVMClassifier.fit": ("y", lambda y: sk.NBSVMClassifier().fit(np.eye(16), y)),
    "VaderClassifier.fit": ("y", lambda y: sk.VaderClassifier().fit(TEXTS, y)),
    "compare_strategies": ("y", lambda y: compare(TEXTS, y)),
    "compare_strategies source": (
        "source",
        lambda y: compare(strategies=["tfidf"], source=(OTHERS, y)),
    ),
    "compare_predictions y": ("y", lambda y: predictions({"a": LABELS}, y)),
    "compare_predictions labels": ("a", lambda y: predictions({"a": y})),
}

WEIGHT_TAKERS: dict[str, Callable[[Any], Any]] = {
    "TransferSentimentClassifier.fit": lambda w: transfer().fit(TEXTS, LABELS, w),
    "NBSVMClassifier.fit": lambda w: sk.NBSVMClassifier().fit(np.eye(16), LABELS, w),
    "VaderClassifier.fit": lambda w: sk.VaderClassifier().fit(TEXTS, LABELS, w),
}

# Whatever it is, it is no whole number, no number, no flag, no name.
_NO_WHOLE: tuple[Any, ...] = (-1, 2.5, "3", None, math.nan, [1], True)
_NO_RATE: tuple[Any, ...] = (-0.1, 2, "0.1", None, math.nan, math.inf, [0.1])
_NO_FLAG: tuple[Any, ...] = ("False", None, 2, [])
_NO_NAME: tuple[Any, ...] = ("nonsense", 3, b"relu", [], math.nan, Unspeakable())
_NO_SEED: tuple[Any, ...] = (-1, 2**40, "0", 1.5, math.nan)

PARAMETERS: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, ...]]]] = {
    "TransferSentimentClassifier": (
        lambda **p: transfer(**p).fit(TEXTS, LABELS),
        {
            "encoder": ("bert", 3, object()),
            "strategy": ("finetune", "Frozen", None, 3, ["lora"]),
            "n_trainable_layers": (0, *_NO_WHOLE),
            "lora_rank": (0, *_NO_WHOLE),
            "train_embeddings": _NO_FLAG,
            "hidden_layer_sizes": ("64", (0,), (-1,), (2.5,), 64, None, ("a",)),
            "activation": _NO_NAME,
            "dropout": (1, *_NO_RATE),
            "scale_features": _NO_FLAG,
            "head_first": _NO_FLAG,
            "init_from": ("/nowhere", 3, object()),
            "l2_sp": (-1, "x", math.nan, None, math.inf),
            "max_epochs": (0, *_NO_WHOLE),
            "batch_size": (0, *_NO_WHOLE),
            "encoder_learning_rate": (0, -1, "fast", None, math.nan, math.inf),
            "head_learning_rate": (0, -1, "fast", None, math.nan, math.inf),
            "weight_decay": (-1, "x", None, math.nan, math.inf),
            "layer_decay": (0, *_NO_RATE),
            "warmup_fraction": (1, *_NO_RATE),
            "max_grad_norm": (0, -1, "x", math.nan),
            "early_stopping": _NO_FLAG,
            "validation_fraction": (0, 1, *_NO_RATE),
            "n_iter_no_change": (0, *_NO_WHOLE),
            "class_weight": ("balance", 3, {"other": 1.0}, {"pos": -1}, {"pos": "x"}),
            "label_smoothing": (1, *_NO_RATE),
            "calibrate": _NO_FLAG,
            "warm_start": _NO_FLAG,
            "callbacks": ("x", 3, [3]),
            "net_params": ("x", [1], {"nonsense": 1}, {"module": 1}),
            "device": ("gpu", "cuda:99", 3, None),
            "dtype": ("float8", 3, None),
            "random_state": _NO_SEED,
            "verbose": (-1, "x", None, 1.5),
        },
    ),
    "BertFeaturizer": (
        lambda **p: sk.BertFeaturizer(**{"model": str(PLACE / "bert")} | p).fit(TEXTS),
        {
            "model": ("/nowhere", "no-such-model", "", None, 3, b"x", "a\0b", "x" * 9999),
            "revision": (3, [1]),
            "local_files_only": _NO_FLAG,
            "pooling": (*_NO_NAME, (), ("mean", "x")),
            "layers": (99, -99, (), (0, 99), "all", None, 1.5, True),
            "normalize": _NO_FLAG,
            "prefix": (3, None),
            "max_length": (0, -1, 1, "x", 2.5, 10**9, True),
            "long_text": _NO_NAME,
            "batch_tokens": (0, -1, "x", None, 2.5),
            "device": ("gpu", "cuda:99", 3, None),
            "dtype": ("float8", 3, None),
            "cache": (3, b"x", "a\0b"),
            "share": (3, b"x"),
            "verbose": (-1, "x", None),
        },
    ),
    "WordVectorFeaturizer": (
        lambda **p: sk.WordVectorFeaturizer(**{"vectors": vectors()} | p).fit(TEXTS),
        {
            "vectors": ("/nowhere.vec", "glove", "", None, 3, b"x", {"good": [1]}),
            "pooling": (*_NO_NAME, (), ("mean", "x")),
            "weighting": ("tf-idf", 3, True),
            "n_components_removed": (*_NO_WHOLE, 99),
            "tokenizer": ("x", 3, None),
            "max_length": (0, -1, "x", 2.5),
            "lowercase": _NO_FLAG,
            "normalize": _NO_FLAG,
            "oov": _NO_NAME,
            "random_state": _NO_SEED,
        },
    ),
    "WordVectorTrainer": (
        lambda **p: sk.WordVectorTrainer(**{"min_count": 1, "epochs": 1} | p).learn(TEXTS),
        {
            "algorithm": ("glove", "Word2Vec", None, 3),
            "vector_size": (0, -1, "x", 2.5, True),
            "window": (0, *_NO_WHOLE),
            "min_count": (0, *_NO_WHOLE, 999),
            "skip_gram": _NO_FLAG,
            "negative": (-1, "x", None),
            "epochs": (0, *_NO_WHOLE),
            "learning_rate": (0, -1, "x", None, math.nan),
            "start_from": ("/nowhere.vec", 3),
            "random_state": _NO_SEED,
            "verbose": (-1, "x", None),
        },
    ),
    "NBSVMClassifier": (
        lambda **p: sk.NBSVMClassifier(**p).fit(np.eye(16), LABELS),
        {
            "alpha": (0, -1, "x", None, math.nan, math.inf),
            "beta": (-1, 2, "x", None, math.nan),
            "C": (0, -1, "x", None, math.nan, math.inf),
            "class_weight": ("balance", 3, {"other": 1.0}, {"pos": -1}, {"pos": "x"}),
            "max_iter": (0, *_NO_WHOLE),
            "random_state": _NO_SEED,
        },
    ),
    "VaderClassifier": (
        lambda **p: sk.VaderClassifier(**p).fit(TEXTS, LABELS),
        {"class_weight": ("balance", 3, {"other": 1.0}, {"pos": -1}, {"pos": "x"})},
    ),
    "compare_strategies": (
        compare,
        {
            "strategies": (
                "tf-idf", ["finetune"], ["NBSVM"], [], {}, 3, [None], [3], {"a": 3},
                {"a": "tfidff"}, {3: "tfidf"}, {"": "tfidf"}, ["nbsvm", "nbsvm"],
                ["source_only"], {"a": object}, b"tfidf", math.nan, "",
            ),
            "baseline": ("nbsvn", 3, "", ["nbsvm"], True),
            "source": ("x", 3, (TEXTS,), (TEXTS, LABELS[:3]), ([], []), {"a": 1},
                       (TEXTS, ["x", "y"] * 8), [TEXTS], (TEXTS, LABELS, LABELS)),
            "groups": (3, "x", [1], [None] * 16, [1] * 16, np.ones((16, 2)), {1: 2},
                       [[1]] * 16, [math.nan] * 16, [Unspeakable()] * 16),
            "cv": (0, 1, -1, 2.5, "5", None, 99, [], [([0], [0])], [([0], [99])],
                   [([], [1])], object(), math.nan, True, [1, 2]),
            "n_repeats": (0, *_NO_WHOLE),
            "train_sizes": (3, "x", [], [0], [-1], [99], ["x"], [math.nan], [math.inf],
                            [1.5], [None], [True], {"a": 1}, [[4]]),
            "scoring": ("acuracy", "", None, 3, ["accuracy"], "r2", b"f1", {"a": "f1"}),
            "threshold": ("x", 0.5, 3, True),
            "param_grids": (3, "x", [1], {"x": {}}, {"nbsvm": 3}, {"nbsvm": {"q": [1]}},
                            {"nbsvm": {}}, {"nbsvm": {"C": 3}}, {"nbsvm": {"C": []}}),
            "encoder": ("/nowhere", "no-such", "", 3, [], [3], b"x", object(), None),
            "max_source": (0, 1, -1, 2.5, "x", math.nan, True),
            "time_budget": (0, -1, "x", math.nan, [1], "5m", True),
            "race": _NO_FLAG,
            "folder": (3, b"x", "", "/proc/x", "a\0b", "/dev/null", ["x"]),
            "n_jobs": (0, -99, "x", 2.5, math.nan, [1], True),
            "random_state": _NO_SEED,
            "verbose": (-1, "x", None),
            "on_result": (3, "x"),
            "on_forecast": (3, "x"),
            "on_finding": (3, "x"),
        },
    ),
    "compare_predictions": (
        lambda **p: sk.compare_predictions(
            **{"y": LABELS, "predictions": {"a": LABELS}} | p
        ),
        {
            "predictions": (None, 3, "x", {}, [], {"a": 3}, {3: LABELS}, {"": LABELS},
                            {"a": LABELS[:3]}, {"a": np.ones((16, 3))}, {"a": None},
                            {"a": np.full((16, 2), math.nan)}, {"a": -np.ones((16, 2))},
                            {"a": ["x"] * 16}, {"a": [[1], [2, 3]] * 8}),
            "groups": (3, "x", [1], np.ones((16, 2))),
            "folds": (3, "x", [1], [math.nan] * 16, ["a"] * 3),
            "classes": (3, "x", [], ["pos"], ["a", "b"], ["pos", "pos"], [math.nan]),
            "baseline": ("x", 3, "", ["a"]),
            "scoring": ("acuracy", "", None, 3, "r2"),
            "seconds": (3, "x", {"x": 1.0}, {"a": -1}, {"a": "x"}, {"a": math.nan}),
            "details": (3, "x", {"x": {}}, {"a": 3}),
        },
    ),
    "WordVectors": (
        lambda **p: sk.WordVectors(**{"words": ["a", "b"], "matrix": np.eye(2)} | p),
        {
            "words": (None, 3, "ab", [], ["a"], ["a", "a"], ["a", 3], ["a", None],
                      ["a", ""], {"a": 1}, [b"a", b"b"]),
            "matrix": (None, 3, "x", [], [1, 2], np.ones((3, 2)), [["a", "b"]] * 2,
                       [[1], [2, 3]], np.full((2, 2), math.nan), np.ones((2, 0)),
                       np.full((2, 2), math.inf), np.ones((2, 2)) * 1j,
                       np.array([[object()] * 2] * 2)),
        },
    ),
    "WordVectors.load": (
        lambda **p: sk.WordVectors.load(**{"source": str(PLACE / "vectors")} | p),
        {
            "source": ("/nowhere.vec", "glove", "", None, 3, b"x", "a\0b", "/dev/null", "/"),
            "limit": (0, -1, 2.5, "x", True, math.nan),
            "dtype": ("int8", "x", None, 3, float),
            "format": ("x", 3, b"gensim"),
        },
    ),
    "align_word_vectors": (
        lambda **p: sk.align_word_vectors(**{"source": vectors(), "target": vectors()} | p),
        {
            "source": (None, 3, "glove", np.eye(3)),
            "target": (None, 3, "glove", np.eye(3)),
            "pairs": (3, "x", [], [("good",)], [("good", "nowhere")], [3], [(1, 2)],
                      [("good", None)]),
            "center": _NO_FLAG,
            "scale": _NO_FLAG,
            "n_refinements": (*_NO_WHOLE,),
            "n_frequent": (0, *_NO_WHOLE),
        },
    ),
    "explain": (
        lambda **p: sk.explain(**{"estimator": fitted(), "text": "good"} | p),
        {
            "estimator": (None, 3, "x", object(), transfer, sk.NBSVMClassifier()),
            "text": (None, 3, b"x", ["good"], np.array(["a"]), math.nan, ""),
            "label": ("x", 3, ["pos"], math.nan),
            "method": ("x", None, 3, "Occlusion"),
        },
    ),
    "suggest": (
        lambda **p: sk.suggest(**{"model": fitted(), "unlabelled": TEXTS, "n": 2} | p),
        {
            "model": (None, 3, "x", object(), sk.NBSVMClassifier()),
            "n": (0, *_NO_WHOLE, 99),
            "random_state": _NO_SEED,
        },
    ),
    "pool_domains": (
        lambda **p: sk.pool_domains(
            **{"source": (TEXTS, LABELS), "target": (TEXTS, LABELS)} | p
        ),
        {
            "source": (None, 3, "x", (TEXTS,), (TEXTS, LABELS[:3]), ([], [])),
            "target": (None, 3, "x", (TEXTS,), (TEXTS, LABELS[:3]), ([], [])),
            "target_weight": (0, 1, *_NO_RATE),
        },
    ),
    "fetch_reviews": (
        lambda **p: sk.fetch_reviews(**{"download_if_missing": False} | p),
        {
            "language": ("fr", "EN", None, 3, ["en"]),
            "domain": ("x", 3, ["books"]),
            "labels": ("x", None, 3),
            "data_home": (3, "a\0b"),
            "download_if_missing": _NO_FLAG,
            "return_X_y": _NO_FLAG,
            "as_frame": _NO_FLAG,
        },
    ),
    "load_mini_reviews": (
        sk.load_mini_reviews,
        {
            "language": ("fr", "EN", None, 3, ["en"]),
            "domain": ("x", 3, ["books"]),
            "return_X_y": _NO_FLAG,
            "as_frame": _NO_FLAG,
        },
    ),
    "save": (
        lambda **p: sk.save(**{"estimator": fitted(), "folder": PLACE / f"{os.getpid()}"} | p),
        {
            "estimator": (None, 3, "x", object(), transfer(object()), sk.NBSVMClassifier),
            "folder": (None, 3, b"x", "", "/proc/x", "/dev/null", "a\0b", ".", ["x"]),
            "scores": (3, "x", [1], {"a": "x"}, {"a": None}, {3: 1.0}, {"a": object()}),
            "description": (3, ["x"], b"x"),
            "confidence": (3, "x", {"a": object()}, {"n": 1}),
        },
    ),
    "load": (
        lambda **p: sk.load(**p),
        {"folder": (None, 3, b"x", "", "/nowhere", "/dev/null", "/dev", "a\0b", ["x"])},
    ),
    "load_predictions": (
        lambda **p: sk.load_predictions(**p),
        {"path": (None, 3, b"x", "", "/nowhere", "/dev/null", "/dev/zero", "/dev", "a\0b", ["x"])},
    ),
    "write_report": (
        lambda **p: sk.write_report(
            **{"comparison": comparison(), "folder": PLACE / f"{os.getpid()}"} | p
        ),
        {
            "comparison": (None, 3, "x", {"a": 1}),
            "folder": (None, 3, b"x", "", "/proc/x", "/dev/null", "a\0b", ["x"]),
            "model_folder": (3, b"x", ["x"]),
            "explanations": (3, "x", [1], {0: "x"}, {"a": None}, {99: None}),
            "title": (3, b"x", ["x"]),
            "n_mistakes": _NO_WHOLE,
            "overwrite": _NO_FLAG,
        },
    ),
    "StrategyComparison.confidence": (
        lambda **p: comparison().confidence(**p),
        {
            "strategy": ("x", 3, "A", ["a"], ""),
            "level": (0, 1, *_NO_RATE),
        },
    ),
    "StrategyComparison.label_sets": (
        lambda **p: comparison().label_sets(**p),
        {
            "coverage": (0, 1, *_NO_RATE),
            "strategy": ("x", 3, ["a"]),
            "by_class": _NO_FLAG,
        },
    ),
    "StrategyComparison.mistakes": (
        lambda **p: comparison().mistakes(**p),
        {"strategy": ("x", 3, ["a"]), "n": _NO_WHOLE},
    ),
    "StrategyComparison.suspects": (
        lambda **p: comparison().suspects(**p), {"n": (-1, 2.5, "x", math.nan, True)},
    ),
    "StrategyComparison.estimator": (
        lambda **p: comparison().estimator(**{"strategy": "a"} | p),
        {"strategy": ("x", 3, None, ["a"])},
    ),
    "StrategyComparison.to_csv": (
        lambda **p: comparison().to_csv(**p),
        {"path": (None, 3, "", "/proc/x.csv", "/nowhere/x.csv", "/dev", "a\0b", ["x"])},
    ),
    "StrategyComparison.save_predictions": (
        lambda **p: comparison().save_predictions(**{"path": PLACE / "p.jsonl"} | p),
        {
            "path": (None, 3, "", "/proc/x", "/nowhere/x", "/dev", "a\0b", ["x"]),
            "texts": _NO_FLAG,
            "overwrite": _NO_FLAG,
        },
    ),
    "ConfusionDisplay": (
        lambda **p: sk.ConfusionDisplay(
            **{"matrices": {"a": np.eye(2, dtype=int)}, "classes": ["a", "b"]} | p
        ).plot(),
        {
            "matrices": (None, 3, {}, {"a": 3}, {"a": np.ones((2, 3))}, {"a": "x"}, [1]),
            "classes": (None, 3, [], ["a"], "ab"),
        },
    ),
    "ConfusionDisplay.from_predictions": (
        lambda **p: sk.ConfusionDisplay.from_predictions(
            **{"y_true": LABELS, "y_pred": LABELS} | p
        ),
        {
            "y_true": (None, 3, [], LABELS[:3], [math.nan] * 16),
            "y_pred": (None, 3, [], LABELS[:3], [math.nan] * 16),
            "classes": (3, [], ["x"]),
            "ax": (3, "x"),
        },
    ),
    "ConfusionDisplay.from_comparison": (
        lambda **p: sk.ConfusionDisplay.from_comparison(**{"comparison": comparison()} | p),
        {"comparison": (None, 3, "x"), "strategies": (3, ["x"], [], "a"), "ax": (3,)},
    ),
    "ScoreDisplay": (
        lambda **p: sk.ScoreDisplay(**{"names": ["a"], "scores": [0.5]} | p).plot(),
        {
            "names": (None, 3, [], ["a", "b"]),
            "scores": (None, 3, [], [0.1, 0.2], ["x"], [None]),
            "low": (3, [0.1, 0.2], ["x"]),
            "high": (3, [0.1, 0.2], ["x"]),
            "baseline": ("x", 3),
        },
    ),
    "ScoreDisplay.from_comparison": (
        lambda **p: sk.ScoreDisplay.from_comparison(**{"comparison": comparison()} | p),
        {"comparison": (None, 3, "x"), "train_size": (0, -1, 99, "x", 2.5), "ax": (3,)},
    ),
    "CostDisplay": (
        lambda **p: sk.CostDisplay(
            **{"names": ["a"], "seconds": [1.0], "scores": [0.5]} | p
        ).plot(),
        {
            "names": (None, 3, [], ["a", "b"]),
            "seconds": (None, 3, [], [0.1, 0.2], ["x"], [-1.0]),
            "scores": (None, 3, [], [0.1, 0.2], ["x"]),
        },
    ),
    "CostDisplay.from_comparison": (
        lambda **p: sk.CostDisplay.from_comparison(**{"comparison": comparison()} | p),
        {"comparison": (None, 3, "x"), "cost": ("x", 3), "train_size": (0, 99, "x")},
    ),
    "TransferCurveDisplay": (
        lambda **p: sk.TransferCurveDisplay(**p).plot(),
        {"curves": (None, 3, {}, {"a": 3}, {"a": []}, [1])},
    ),
    "TransferCurveDisplay.from_comparison": (
        lambda **p: sk.TransferCurveDisplay.from_comparison(**p),
        {"comparison": (None, 3, "x")},
    ),
    "DomainMapDisplay": (
        lambda **p: sk.DomainMapDisplay(
            **{"points": np.eye(2), "domains": ["a", "b"]} | p
        ).plot(),
        {
            "points": (None, 3, [], np.ones(2), np.ones((2, 3)), "x", [["a", "b"]] * 2),
            "domains": (None, 3, [], ["a"]),
            "labels": (3, ["a"]),
            "variances": (3, [0.1], ["x", "y"]),
        },
    ),
    "DomainMapDisplay.from_estimator": (
        lambda **p: sk.DomainMapDisplay.from_estimator(
            **{"estimator": featurizer().fit(TEXTS), "X": TEXTS} | p
        ),
        {
            "estimator": (None, 3, "x", object()),
            "y": (LABELS[:3],),
            "source": (3, "x", (TEXTS,)),
            "reducer": (3, "x"),
            "max_texts": (0, *_NO_WHOLE),
            "random_state": _NO_SEED,
        },
    ),
}  # fmt: skip

# Values that may do: what the parameter means there.
FINE = {
    ("TransferSentimentClassifier", "encoder_learning_rate", "0"),
    ("TransferSentimentClassifier", "head_learning_rate", "0"),
    ("BertFeaturizer", "max_length", "1"),
    ("compare_strategies", "cv", "None"),  # five folds, as in scikit-learn
    ("compare_strategies", "train_sizes", "[99]"),  # the whole training part
    ("compare_strategies", "n_jobs", "-99"),  # one, as in joblib
    # What a strategy cannot do becomes the error in its row.
    ("compare_strategies", "scoring", "'r2'"),
    ("compare_strategies", "param_grids", "{'nbsvm': {'q': [1]}}"),
    ("compare_predictions", "scoring", "'r2'"),
    ("compare_predictions", "seconds", "{'a': nan}"),  # it is not told
    ("WordVectors", "words", "['a', '']"),
    ("explain", "text", "''"),
    ("suggest", "n", "99"),  # all of them
    ("save", "confidence", "{'n': 1}"),
    ("write_report", "explanations", "{'a': None}"),
    ("write_report", "explanations", "{99: None}"),
    ("ScoreDisplay", "scores", "[None]"),  # a row without a score
    ("ScoreDisplay", "baseline", "'x'"),  # one that is not drawn
    ("ScoreDisplay", "baseline", "3"),
    ("CostDisplay", "seconds", "[-1.0]"),  # the cheapest
}

# How messages call the place of a parameter that stands for something.
PLACES = {
    ("TransferSentimentClassifier", "init_from"): ("init_from", "folder"),
    ("BertFeaturizer", "model"): ("model", "weights"),
    ("WordVectorTrainer", "start_from"): ("start_from", "vectors"),
    ("WordVectorTrainer", "min_count"): ("min_count",),
    ("compare_strategies", "encoder"): ("encoder", "weights", "model", "hub id"),
    ("compare_strategies", "cv"): ("cv", "fold"),
    ("WordVectors", "words"): ("words", "word"),
    ("WordVectors", "matrix"): ("matrix", "vector"),
    ("WordVectors.load", "source"): ("source", "vectors", "format"),
    ("suggest", "model"): ("model", "not fitted"),
    ("explain", "estimator"): ("estimator", "not fitted"),
    ("save", "estimator"): ("estimator", "not fitted"),
    ("StrategyComparison.save_predictions", "path"): ("path", "file"),
    ("CostDisplay", "seconds"): ("seconds", "costs"),
}


def make_cases() -> list[Case]:
    """All of them, in an order that does not change."""
    return [*_texts(), *_labels(), *_weights(), *_parameters()]


def _texts() -> Iterator[Case]:
    for taker, (place, take) in TEXT_TAKERS.items():
        for what, (make, told) in WRONG_TEXTS.items():
            takes_numbers = what in _NUMBERS and "Transfer" in taker
            yield Case(
                f"{taker}: {what}",
                lambda take=take, make=make: take(make()),
                tuple(filter(None, (place, told))),
                what in _MAY_WORK or takes_numbers or (taker, what) in _OTHERWISE,
            )  # fmt: skip


def _labels() -> Iterator[Case]:
    for taker, (place, take) in LABEL_TAKERS.items():
        for what, (make, told) in WRONG_LABELS.items():
            partly = "partial_fit" in taker and what == "one class"
            yield Case(
                f"{taker}: labels, {what}",
                lambda take=take, make=make: take(make()),
                tuple(filter(None, (place, told))),
                what in _LABELS_MAY_WORK
                or (place, what) in _LABELS_OTHERWISE
                or partly,
            )


def _weights() -> Iterator[Case]:
    for taker, take in WEIGHT_TAKERS.items():
        for what, (make, told) in WRONG_WEIGHTS.items():
            yield Case(
                f"{taker}: weights, {what}",
                lambda take=take, make=make: take(make()),
                ("sample_weight", told),
                what == "strings",  # scikit-learn reads them as numbers
            )


def _parameters() -> Iterator[Case]:
    for owner, (call, parameters) in PARAMETERS.items():
        for name, values in parameters.items():
            for value in values:
                shown, told = _words_of(value)
                yield Case(
                    f"{owner}({name}={shown})",
                    lambda call=call, name=name, value=value: call(**{name: value}),
                    (PLACES.get((owner, name), (name,)), told),
                    (owner, name, shown) in FINE,
                )


def _words_of(value: Any) -> tuple[str, tuple[str, ...]]:
    """How a value is shown in a case's name, and words one of which tells it."""
    kind = type(value).__name__
    try:
        shown = repr(value)[:40]
    except RuntimeError:
        return kind, (kind,)
    first = repr(value)[:12].strip("([{ ").split(",")[0].rstrip(")]}")
    told = [kind, first, shown]
    if isinstance(value, str):
        told += [value[:40]]
    if hasattr(value, "__len__"):
        told += [str(len(value)), "empty"]
        told += [repr(entry)[:12] for entry in itertools.islice(value, 20)]
    if isinstance(value, tuple):
        told += ["no texts"]
        told += [str(len(entry)) for entry in value if hasattr(entry, "__len__")]
    if isinstance(value, (list, np.ndarray)):
        told += ["[0]", "shape", "groups", "position 0", "'a'"]
    if value is None or isinstance(value, int):
        told += ["shape ()"]
    if isinstance(value, dict):
        told += [repr(entry)[:12] for entry in value.values()]
    told += [str(part) for part in getattr(value, "shape", ())]
    return shown, tuple(filter(None, told))


# --- the attack -------------------------------------------------------------------------


def call_cases(place: str, numbers: list[int]) -> list[Answer]:
    """Make the calls of cases in this process, and say what came of each."""
    global PLACE
    PLACE = Path(place)
    os.chdir(place)
    warnings.simplefilter("ignore")
    return [_call(CASES[number]) for number in numbers]


def _call(case: Case) -> Answer:
    try:
        case.call()
    except Exception as error:
        is_ours = isinstance(error, SktransferError)
        return Answer("error", None, type(error).__name__, str(error), is_ours)
    return Answer("value")


def try_cases(place: str, numbers: list[int]) -> list[Answer]:
    """Answers of cases in one process, or in one each where it ends early."""
    found = in_child(call_cases, place, numbers, seconds=60 + 10 * len(numbers))
    if found.kind == "value":
        return found.value
    if len(numbers) == 1:
        return [found]
    return [answer for number in numbers for answer in try_cases(place, [number])]


def judge(case: Case, answer: Answer) -> tuple[str, str]:
    """Outcome of a case, and what was wrong."""
    told = " ".join(answer.text.split())
    detail = f"{case.what}: {answer.name}: {told}"
    if answer.kind == "value":
        return ("right" if case.may_work else "wrong"), f"{case.what}: no error"
    if answer.kind != "error":
        return answer.kind, detail
    if not answer.is_ours and answer.name not in (
        "InvalidParameterError", "NotFittedError",
    ):  # fmt: skip
        return "raw error", detail
    lower = told.lower()
    for words in case.says:
        wanted = (words,) if isinstance(words, str) else words
        if not any(word.lower() in lower for word in wanted):
            return "unclear", f"lacks {wanted}: {detail}"
    if not any(word in lower for word in _REMEDIES):
        return "unclear", f"no remedy: {detail}"
    if len(answer.text) > _MOST_CHARACTERS:
        return "unclear", f"{len(answer.text)} characters: {detail}"
    return "refused", detail


def make_world(place: Path) -> None:
    """Weights and vectors that the calls read."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import build_tiny_bert

    build_tiny_bert(place / "bert")
    vectors().save(place / "vectors")


def _in_parts(numbers: list[int]) -> Iterator[list[int]]:
    for first in range(0, len(numbers), _AT_ONCE):
        yield numbers[first : first + _AT_ONCE]


def attack(share: float) -> None:
    book = Ledger(NAME, "wrong values for every public name")
    with tempfile.TemporaryDirectory() as place:
        os.environ |= {"SKTRANSFER_CACHE": place, "MPLBACKEND": "agg"}
        make_world(Path(place))
        print(f"{len(CASES)} cases")
        numbers = ONLY or [*range(0, len(CASES), max(1, round(1 / share)))]
        for some in _in_parts(numbers):
            for number, answer in zip(some, try_cases(place, [*some]), strict=True):
                outcome, detail = judge(CASES[number], answer)
                if VERBOSE:
                    print(f"--- {number}: {outcome}: {detail[:700]}")
                book.note(outcome, number, detail)
    if not ONLY:
        book.write()


PLACE = Path()
CASES = make_cases()
ONLY = [int(number) for number in os.environ.get("ONLY", "").split(",") if number]
VERBOSE = bool(os.environ.get("VERBOSE"))

if __name__ == "__main__":
    found = parse(__doc__, [NAME])
    attack(found.share)
