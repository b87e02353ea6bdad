"""Labelled sets that the study of encoders chooses on, and those that it reports on.

Four kinds of text: English sentences, whole English reviews, Chinese reviews, and
tweets of three classes. Nothing is decided on a set of `REPORTED`.
Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon, zh_shopping and zh_takeaway.
"""

from __future__ import annotations

import csv
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from words_accuracy import DATA, TARGETS, chinese, english

from sktransfer import fetch_reviews

DEVELOPMENT = ("movies", "news", "kitchen", "dvd", "hotel", "clothes")
REPORTED = (
    "tweets",
    "products",
    "electronics",
    "books",
    "tablet",
    "takeaway",
    "tweets, 3 classes",
)
SENTENCES = ("movies", "news", "tweets", "products")
REVIEWS = ("kitchen", "dvd", "electronics", "books")
CHINESE = ("hotel", "clothes", "tablet", "takeaway", "fruit")
# Those that ways of tuning are chosen on: no table of results has them.
TUNING = ("tweets", "news", "kitchen", "takeaway", "fruit")
SETS = DEVELOPMENT + REPORTED
KINDS = {"sentences": SENTENCES, "whole reviews": REVIEWS, "Chinese": CHINESE}

# Texts of a set that are encoded; half of them are for training.
N_POOL = 2400
N_TEST = 1000

Array = npt.NDArray[np.generic]


@dataclass
class LabelledSet:
    """Texts with labels.

    Attributes
    ----------
    name : str
        One of `SETS`.
    texts : list of str, of length n
    y : int array of shape (n,)
    groups : array of shape (n,)
        Texts of one group are on one side of every split.
    """

    name: str
    texts: list[str]
    y: Array
    groups: Array

    @property
    def n_classes(self) -> int:
        """Classes, numbered from 0."""
        return int(self.y.max()) + 1

    def take(self, rows: Array) -> list[str]:
        """Texts of some rows."""
        return [self.texts[row] for row in rows]

    def draw(self, share: float | None, n: int, number: int) -> tuple[Array, Array]:
        """Rows to learn from and rows to test on, of different groups.

        `share` is that of class 1 of two; None is equal shares for all classes.
        """
        random = np.random.default_rng([number, n, round(100 * (share or 0))])
        names = np.unique(self.groups)
        random.shuffle(names)
        first = np.isin(self.groups, names[: len(names) // 2])
        shares = np.full(self.n_classes, 1 / self.n_classes)
        if share is not None:
            shares = np.array([1 - share, share])

        def some(rows: Array, size: int) -> Array:
            sides = [
                random.permutation(rows[self.y[rows] == label])
                for label in range(self.n_classes)
            ]
            size = min(
                size, *(int(len(s) / p) for s, p in zip(sides, shares, strict=True))
            )
            counts = np.round(size * shares).astype(int)
            return np.concatenate([s[:k] for s, k in zip(sides, counts, strict=True)])

        return some(np.flatnonzero(first), n), some(np.flatnonzero(~first), N_TEST)


def read_set(name: str) -> LabelledSet:
    """Read a set, cut to `N_POOL` texts of equal shares."""
    texts, y, groups = _read(name)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    order = random.permutation(len(texts))
    n_each = N_POOL // (int(y.max()) + 1)
    kept = np.concatenate([order[y[order] == label][:n_each] for label in np.unique(y)])
    kept.sort()
    return LabelledSet(name, [texts[row] for row in kept], y[kept], groups[kept])


def _read(name: str) -> tuple[list[str], Array, Array]:
    domain, _, three = name.partition(", ")
    if domain in SENTENCES:
        labels = "three" if three else "binary"
        found = fetch_reviews("en", domain, labels=labels)
        return list(found.data), np.asarray(found.target), np.asarray(found.groups)
    if name == "takeaway":
        texts, y = _takeaway()
    elif name in REVIEWS:
        texts, y = english(name)
    else:
        texts, y = chinese({**TARGETS, "fruit": "水果"})[name]
    return texts, y, np.arange(len(texts))


def _takeaway() -> tuple[list[str], Array]:
    path = DATA / "zh_takeaway" / "waimai_10k.csv"
    sides: dict[str, set[int]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sides.setdefault(row["review"], set()).add(int(row["label"]))
    clear = {text: min(found) for text, found in sides.items() if len(found) == 1}
    return list(clear), np.array(list(clear.values()))
