"""Comparisons whose truth is known: draws of real texts, read by many linear models.

A draw takes n labelled texts out of a set, cross-validates about 34 strategies on them,
and scores the models that learnt from all n on the texts that are left. What a strategy
is truly worth at this size is the mean of those scores over all draws. The models of a
cross-validation learn from fewer texts, so what they are worth is found the same way by
draws of that size, `learnt_scores`. A strategy is
TF-IDF with logistic regression, as the package's baseline is, or a ridge-penalised
logistic regression on some of the 768 columns that two encoders give. Of many such
choices of columns those are taken whose true scores, by a pilot, are those that are
wanted: equal to the baseline, or 2, 5, 10 and 16 points above.

All results of a cell lie in the cache's folder of benchmarks, 25 draws a file, so that
a run that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sktransfer import BertFeaturizer, fetch_reviews
from sktransfer.baselines.language import PIECES
from sktransfer.storage import cache_folder

Array = npt.NDArray[np.generic]

FOLDER = cache_folder("benchmarks", "statistics")
ENCODERS = ("all-MiniLM-L6-v2", "multilingual-e5-small")
DISTANCES = (2, 5, 10, 16)
N_EQUAL = 11
N_CHUNK = 25
N_PILOT = 40
# Draws of another size, for what models of the training parts are worth.
N_LEARNT = 400
# Columns of a candidate, and how many candidates of each number.
WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
N_CANDIDATES = 30
WIDE = 64
PENALTY = 10.0
# What each fit draws anew for a strategy that hardly repeats itself.
N_UNSTABLE = 24
# Directions that alike texts are told by.
N_DIRECTIONS = 30


@dataclass(frozen=True)
class Cell:
    """A kind of comparison.

    Attributes
    ----------
    name : str
    pool : str
        "sentences", "clusters" (the same, bound into groups of alike ones) or
        "reviews" (sentences of reviews of products).
    n : int
        Labelled texts of a draw; about as many where groups are drawn.
    share : float or None
        Of class 1; None takes texts as they come.
    designs : tuple of (int, int)
        Folds and repeats.
    draws : int
    curve : tuple of float
        Shares of each training part that learn as well, with the first folds.
    """

    name: str
    pool: str
    n: int
    share: float | None
    designs: tuple[tuple[int, int], ...]
    draws: int
    curve: tuple[float, ...] = ()

    @property
    def n_groups(self) -> int | None:
        """Groups that a draw takes, of about ten texts each."""
        return None if self.pool == "sentences" else self.n // 10


CELLS = {
    cell.name: cell
    for cell in (
        Cell(
            "300",
            "sentences",
            300,
            None,
            ((5, 3), (10, 1), (2, 1)),
            1000,
            curve=(0.25, 0.5),
        ),
        Cell("100", "sentences", 100, None, ((5, 1),), 1000),
        Cell("300, 10 %", "sentences", 300, 0.1, ((5, 1),), 1000),
        Cell("300, clusters", "clusters", 300, None, ((5, 1),), 1000),
        Cell("300, reviews", "reviews", 300, None, ((5, 1),), 1000),
        Cell("1000", "sentences", 1000, None, ((5, 1),), 500),
        Cell("100, 10 %", "sentences", 100, 0.1, ((5, 1),), 1000),
        Cell("1000, 10 %", "sentences", 1000, 0.1, ((5, 1),), 500),
    )
}


@dataclass
class Pool:
    """Texts of a set as all models read them.

    Attributes
    ----------
    y : int array (n,)
    groups : int array (n,)
    dense : float array (n, 768)
        Columns of mean 0 and variance 1.
    counts : sparse (n, n_words)
        1 + log of how often a word or pair comes.
    """

    y: Array
    groups: Array
    dense: Array
    counts: sparse.csr_array


@functools.cache
def read_pool(name: str) -> Pool:
    """Read a set and its vectors, which are encoded once."""
    domain = "products" if name == "reviews" else "movies"
    found = fetch_reviews("en", domain, labels="binary")
    texts, y = list(found.data), np.asarray(found.target)
    parts = [_encode(model, domain, texts) for model in ENCODERS]
    dense = np.hstack(parts).astype(np.float64)
    dense = dense[:, dense.std(axis=0) > 1e-6]
    dense = (dense - dense.mean(axis=0)) / dense.std(axis=0)
    counts = CountVectorizer(**PIECES["en"]).fit_transform(texts)
    counts = sparse.csr_array(counts, dtype=np.float64)
    counts.data = 1 + np.log(counts.data)
    groups = np.arange(len(y))
    if name == "reviews":
        groups = np.unique(found.groups, return_inverse=True)[1]
    if name == "clusters":
        groups = _cluster(dense)
    return Pool(y, groups, dense, counts)


def _encode(model: str, domain: str, texts: list[str]) -> Array:
    path = FOLDER / f"{model}-{domain}.npy"
    if not path.exists():
        vectors = BertFeaturizer(model).fit(texts[:2]).transform(texts)
        with path.with_suffix(".part").open("wb") as file:
            np.save(file, np.asarray(vectors, np.float16))
        path.with_suffix(".part").replace(path)
    return np.load(path)


def _cluster(dense: Array) -> Array:
    """Groups of nine or ten texts of alike vectors: halves of halves, ten times."""
    left, sizes, _ = np.linalg.svd(dense, full_matrices=False)
    vectors = left[:, :N_DIRECTIONS] * sizes[:N_DIRECTIONS]
    parts = [np.arange(len(dense))]
    for _ in range(int(np.log2(len(dense) / 10)) + 1):
        halves = []
        for rows in parts:
            inside = vectors[rows] - vectors[rows].mean(axis=0)
            longest = np.linalg.svd(inside, full_matrices=False)[2][0]
            order = rows[np.argsort(inside @ longest, kind="stable")]
            halves += [order[: len(order) // 2], order[len(order) // 2 :]]
        parts = halves
    groups = np.empty(len(dense), int)
    for number, rows in enumerate(parts):
        groups[rows] = number
    return groups


@dataclass(frozen=True)
class Strategies:
    """What is compared.

    Attributes
    ----------
    names : list of str
        "tfidf", "equal i", "d points i" for the distances, "wide i" for strong ones
        that resemble each other, and "unstable i".
    columns : list of int array or None
        Of the dense features; None for TF-IDF, and for those drawn in each fit.
    """

    names: tuple[str, ...]
    columns: tuple[Array | None, ...]


def random_of(cell: Cell, *numbers: int) -> np.random.Generator:
    """A generator of its own for each purpose."""
    return np.random.default_rng([zlib.crc32(cell.name.encode()), *numbers])


def draw_rows(cell: Cell, pool: Pool, random: np.random.Generator) -> Array:
    """Rows of the labelled texts of a draw."""
    if cell.n_groups is not None:
        chosen = random.permutation(pool.groups.max() + 1)[: cell.n_groups]
        return np.flatnonzero(np.isin(pool.groups, chosen))
    if cell.share is None:
        return random.permutation(len(pool.y))[: cell.n]
    n_rare = 0
    while n_rare < 5:
        n_rare = int(random.binomial(cell.n, cell.share))
    sides = [random.permutation(np.flatnonzero(pool.y == label)) for label in (0, 1)]
    return np.concatenate([sides[0][: cell.n - n_rare], sides[1][:n_rare]])


def draw_folds(y: Array, groups: Array | None, n_folds: int, seed: int) -> Array:
    """Number of each row's fold."""
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    number = np.zeros(len(y), np.int8)
    for fold, (_, test) in enumerate(splitter.split(y, y, groups)):
        number[test] = fold
    return number


def row_weights(y: Array, cell: Cell) -> Array:
    """Weights of rows in a fit: classes weigh the same where one is rare."""
    if cell.share is None:
        return np.ones(len(y))
    sizes = np.bincount(y, minlength=2)
    return (len(y) / (2 * np.maximum(sizes, 1)))[y]


def fit_logistic(X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Coefficients (F, k) and intercepts (F,) of F penalised fits by Newton's method.

    `X` is (n, k), or (F, n, k) where fits read different columns; `weights` (F, n) is
    0 for rows that a fit does not see, and its last row is of the fit that sees all,
    from which the others start where they read the same columns.
    """
    shared = X.ndim == 2
    k = X.shape[-1]
    ones = np.ones((*X.shape[:-1], 1))
    Z = np.concatenate([X, ones], axis=-1)
    rough = Z.astype(np.float32)
    penalty = np.append(np.full(k, PENALTY), 1e-6)
    beta = np.zeros((len(weights), k + 1))
    if shared and len(weights) > 1:
        slopes, intercepts = fit_logistic(X, y, weights[-1:])
        beta[:] = np.append(slopes, intercepts)
    for _ in range(25):
        values = beta @ Z.T if shared else np.matmul(Z, beta[:, :, None])[:, :, 0]
        chance = 1 / (1 + np.exp(-values.clip(-30, 30)))
        pull = weights * (chance - y)
        slope = pull @ Z if shared else np.matmul(pull[:, None], Z)[:, 0]
        slope += penalty * beta
        # Half the digits do for the curvature: the slope decides where it ends.
        curve = (weights * chance * (1 - chance)).astype(np.float32)
        step = np.empty_like(beta)
        for f, heights in enumerate(curve):
            rows = np.flatnonzero(heights)
            part = (rough if shared else rough[f])[rows]
            hessian = (part * heights[rows, None]).T @ part
            hessian[np.arange(k + 1), np.arange(k + 1)] += penalty
            step[f] = np.linalg.solve(hessian, slope[f])
        beta -= step
        if np.abs(step).max() < 1e-2:
            break
    return beta[:, :-1], beta[:, -1]


class Tfidf:
    """TF-IDF rows by the words of some texts, and the baseline's classifier."""

    def __init__(self, counts: sparse.csr_array, y: Array, weights: Array) -> None:
        seen = np.bincount(counts.indices, minlength=counts.shape[1])
        self._known = seen > 0
        # The formula of TfidfTransformer, 0 for words that were not seen.
        self._idf = np.where(self._known, np.log((1 + len(y)) / (1 + seen)) + 1, 0.0)
        rows = self._rows(counts)[:, np.flatnonzero(self._known)]
        model = LogisticRegression(C=10.0, max_iter=1000, tol=1e-3)
        model.fit(rows, y, sample_weight=weights)
        self._coefficients = np.zeros(counts.shape[1])
        self._coefficients[self._known] = model.coef_[0]
        self._intercept = model.intercept_[0]

    def _rows(self, counts: sparse.csr_array) -> sparse.csr_array:
        values = counts.data * self._idf[counts.indices]
        rows = sparse.csr_array((values, counts.indices, counts.indptr), counts.shape)
        return sparse.diags_array(1 / self._lengths(rows)) @ rows

    @staticmethod
    def _lengths(rows: sparse.csr_array) -> Array:
        squares = np.add.reduceat(np.append(rows.data**2, 0.0), rows.indptr[:-1])
        squares[np.diff(rows.indptr) == 0] = 0
        return np.sqrt(np.maximum(squares, 1e-12))

    def decide(self, counts: sparse.csr_array) -> Array:
        """Log odds of rows."""
        values = counts.data * self._idf[counts.indices]
        rows = sparse.csr_array((values, counts.indices, counts.indptr), counts.shape)
        return (rows @ self._coefficients) / self._lengths(rows) + self._intercept


def decide_all(
    pool: Pool,
    rows: Array,
    rest: Array,
    cell: Cell,
    strategies: Strategies,
    folds: Array,
    learning: Array,
    random: np.random.Generator,
) -> tuple[Array, Array]:
    """Log odds of out-of-fold rows (S, R, n), and of the rest (S, m) by all rows.

    `folds` (R, n) has a row for each repeat; of each training part only the share
    `learning` (R,) of both classes is learnt from, smaller ones within larger ones.
    """
    y = pool.y[rows]
    each = [(r, f) for r in range(len(folds)) for f in range(folds[r].max() + 1)]
    order = random.permutation(len(rows))
    parts = [_part(folds[r] != f, y, order, learning[r]) for r, f in each]
    seen = np.array([*parts, np.ones(len(rows), bool)])
    weights = np.array([row_weights(y, cell)] * len(seen)) * seen
    for one, mask in zip(weights, seen, strict=True):
        one[mask] = row_weights(y[mask], cell)
    inside = pool.dense[rows]
    pooled = np.zeros((len(strategies.names), *folds.shape))
    held_out = np.zeros((len(strategies.names), len(rest)))
    full = np.zeros((pool.dense.shape[1], len(strategies.names)))
    for s, (name, columns) in enumerate(
        zip(strategies.names, strategies.columns, strict=True)
    ):
        if name == "tfidf":
            counts = pool.counts[rows]
            for (r, f), mask, weight in zip(each, seen[:-1], weights[:-1], strict=True):
                model = Tfidf(counts[np.flatnonzero(mask)], y[mask], weight[mask])
                test = np.flatnonzero(folds[r] == f)
                pooled[s, r, test] = model.decide(counts[test])
            model = Tfidf(counts, y, weights[-1])
            held_out[s] = model.decide(pool.counts[rest])
            continue
        if columns is None:
            drawn = np.array(
                [
                    random.permutation(inside.shape[1])[:N_UNSTABLE]
                    for _ in range(len(seen))
                ]
            )
            X = inside[:, drawn].transpose(1, 0, 2)
            beta, start = fit_logistic(X, y, weights)
            values = np.matmul(X, beta[:, :, None])[:, :, 0] + start[:, None]
            full[drawn[-1], s] = beta[-1]
        else:
            X = inside[:, columns]
            beta, start = fit_logistic(X, y, weights)
            values = beta @ X.T + start[:, None]
            full[columns, s] = beta[-1]
        held_out[s] = start[-1]
        for place, (r, f) in enumerate(each):
            test = folds[r] == f
            pooled[s, r, test] = values[place, test]
    held_out += (pool.dense @ full)[rest].T
    return pooled, held_out


def _part(mask: Array, y: Array, order: Array, share: float) -> Array:
    """The rows of a mask, or the first ones of each class in an order."""
    if share == 1:
        return mask
    kept = np.zeros(len(y), bool)
    for label in (0, 1):
        inside = order[mask[order] & (y[order] == label)]
        kept[inside[: int(np.ceil(share * len(inside)))]] = True
    return kept


def score_held_out(values: Array, y: Array) -> Array:
    """Recall of class 0, of class 1, and ROC AUC of log odds (S, m), shape (S, 3)."""
    found = values > 0
    n_rare = int(y.sum())
    places = np.argsort(np.argsort(values, axis=1), axis=1)[:, y == 1].sum(axis=1)
    area = (places - n_rare * (n_rare - 1) / 2) / (n_rare * (len(y) - n_rare))
    return np.column_stack(
        [1 - found[:, y == 0].mean(axis=1), found[:, y == 1].mean(axis=1), area]
    )


def true_scores(held_out: Array, share: float) -> dict[str, Array]:
    """Scores that recalls and areas (..., 3) amount to at a share of class 1."""
    right0, right1, area = np.moveaxis(held_out, -1, 0)
    tn, tp = (1 - share) * right0, share * right1
    fp, fn = (1 - share) - tn, share - tp
    f1 = (2 * tp / (2 * tp + fp + fn) + 2 * tn / (2 * tn + fp + fn)) / 2
    return {"accuracy": tn + tp, "macro-F1": f1, "ROC AUC": area}


def share_of(cell: Cell) -> float:
    """Share of class 1 that is expected in a draw."""
    return float(read_pool(cell.pool).y.mean()) if cell.share is None else cell.share


def ladder_metric(cell: Cell) -> str:
    """What distances are of: accuracy says little where a class is rare."""
    return "accuracy" if cell.share is None else "macro-F1"


def choose_strategies(cell: Cell) -> Strategies:
    """Choose columns by a pilot over candidates; kept, so that it is done once."""
    path = FOLDER / f"{cell.name}-strategies.npz"
    if not path.exists():
        save(path, **_pilot(cell))
    with np.load(path) as kept:
        names = tuple(str(name) for name in kept["names"])
        columns = tuple(kept.get(f"columns{i}") for i in range(len(names)))
    return Strategies(names, columns)


def _pilot(cell: Cell) -> dict[str, Array]:
    pool, random = read_pool(cell.pool), random_of(cell, 1)
    width = pool.dense.shape[1]
    columns = [
        random.permutation(width)[:k] for k in WIDTHS for _ in range(N_CANDIDATES)
    ]
    candidates = Strategies(
        ("tfidf", *(f"candidate {i}" for i in range(len(columns)))), (None, *columns)
    )
    scores = []
    for number in range(N_PILOT):
        random = random_of(cell, 2, number)
        rows = draw_rows(cell, pool, random)
        rest = np.setdiff1d(np.arange(len(pool.y)), rows)
        none = np.zeros((0, len(rows)), int)
        _, values = decide_all(
            pool, rows, rest, cell, candidates, none, np.ones(0), random
        )
        held_out = score_held_out(values, pool.y[rest])
        scores.append(true_scores(held_out, share_of(cell))[ladder_metric(cell)])
    means = np.mean(scores, axis=0)
    base, means = means[0], means[1:]
    names: list[str] = ["tfidf"]
    chosen: list[Array | None] = [None]
    taken: set[int] = set()

    def take(title: str, target: float, number: int, width: int = 0) -> None:
        order = [
            i
            for i in np.argsort(np.abs(means - target))
            if i not in taken and width in (0, len(columns[i]))
        ]
        for place, i in enumerate(order[:number]):
            taken.add(int(i))
            names.append(f"{title} {place}")
            chosen.append(columns[i])
            print(
                f"  {names[-1]}: {len(columns[i])} columns, "
                f"{100 * (means[i] - base):+.2f}"
            )

    print(f"{cell.name}: tfidf {100 * base:.1f}")
    take("equal", base, N_EQUAL)
    for distance in DISTANCES:
        take(f"{distance} points", base + distance / 100, 2)
    widest = [i for i, c in enumerate(columns) if len(c) == WIDE]
    take("wide", float(np.median(means[widest])), N_EQUAL + 1, WIDE)
    names += ["unstable 0", "unstable 1"]
    kept = {f"columns{i}": c for i, c in enumerate(chosen) if c is not None}
    return {"names": np.array(names), **kept}


def save(path: Path, **arrays: Array) -> None:
    """Write a file that is whole or not there."""
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".part").replace(path)


def simulate(cell: Cell, first: int) -> dict[str, Array]:
    """Results of a chunk of draws, as they are kept."""
    pool, strategies = read_pool(cell.pool), choose_strategies(cell)
    parts: dict[str, list[Array]] = {"rows": [], "held_out": []}
    for number in range(first, min(first + N_CHUNK, cell.draws)):
        random = random_of(cell, 3, number)
        rows = draw_rows(cell, pool, random)
        rest = np.setdiff1d(np.arange(len(pool.y)), rows)
        y = pool.y[rows]
        groups = None if cell.n_groups is None else pool.groups[rows]
        drawn = [
            draw_folds(y, groups, n_folds, int(random.integers(2**31)))
            for n_folds, n_repeats in cell.designs
            for _ in range(n_repeats)
        ]
        learning = np.array([1.0] * len(drawn) + list(cell.curve))
        folds = np.array(drawn + [drawn[0]] * len(cell.curve))
        pooled, values = decide_all(
            pool, rows, rest, cell, strategies, folds, learning, random
        )
        parts["rows"].append(rows.astype(np.int32))
        parts["held_out"].append(score_held_out(values, pool.y[rest]))
        parts.setdefault("folds", []).append(folds)
        parts.setdefault("pooled", []).append(pooled.astype(np.float16))
    sizes = np.array([len(rows) for rows in parts["rows"]])
    return {
        "sizes": sizes,
        "rows": np.concatenate(parts["rows"]),
        "folds": np.concatenate(parts["folds"], axis=1),  # (R, sum of sizes)
        "pooled": np.concatenate(parts["pooled"], axis=2),  # (S, R, sum of sizes)
        "held_out": np.array(parts["held_out"]),  # (draws, S, 3)
    }


def learnt_sizes(cell: Cell) -> list[int]:
    """Sizes of the training parts of a cell's designs."""
    parts = [1 - 1 / n_folds for n_folds, _ in cell.designs]
    return [round(cell.n * p) for p in [*parts, *(s * parts[0] for s in cell.curve)]]


def learnt_scores(cell: Cell, size: int) -> Array:
    """Recalls and areas (draws, S, 3) of models that learnt from `size` texts."""
    path = FOLDER / f"{cell.name}-at-{size}.npz"
    if not path.exists():
        pool, strategies = read_pool(cell.pool), choose_strategies(cell)
        smaller = dataclasses.replace(cell, n=size)
        scores = []
        for number in range(N_LEARNT):
            random = random_of(cell, 4, size, number)
            rows = draw_rows(smaller, pool, random)
            rest = np.setdiff1d(np.arange(len(pool.y)), rows)
            none = np.zeros((0, len(rows)), int)
            _, values = decide_all(
                pool, rows, rest, cell, strategies, none, np.ones(0), random
            )
            scores.append(score_held_out(values, pool.y[rest]))
        save(path, held_out=np.array(scores))
        print(f"{cell.name}: models of {size} texts", flush=True)
    with np.load(path) as kept:
        return kept["held_out"]


def run(names: list[str], most: int) -> None:
    """Simulate what is missing of some cells' first draws."""
    for name in names:
        cell = CELLS[name]
        choose_strategies(cell)
        for size in learnt_sizes(cell):
            learnt_scores(cell, size)
        for first in range(0, min(cell.draws, most), N_CHUNK):
            path = FOLDER / f"{cell.name}-{first:04}.npz"
            if path.exists():
                continue
            began = time.perf_counter()
            save(path, **simulate(cell, first))
            seconds = (time.perf_counter() - began) / N_CHUNK
            print(f"{cell.name}, {first}: {seconds:.2f} s a draw", flush=True)


@dataclass
class Draw:
    """One comparison as it was found.

    Attributes
    ----------
    y, groups : int arrays (n,)
    folds : int array (R, n)
    pooled : float array (S, R, n)
        Log odds of class 1 by a model that has not seen the text.
    held_out : float array (S, 3)
        Recalls of both classes and ROC AUC of the models of all n texts.
    """

    y: Array
    groups: Array
    folds: Array
    pooled: Array
    held_out: Array


def read_draws(cell: Cell, first: int) -> Iterator[Draw]:
    """The draws of a chunk."""
    pool = read_pool(cell.pool)
    with np.load(FOLDER / f"{cell.name}-{first:04}.npz") as kept:
        found = dict(kept)
    bounds = np.append(0, np.cumsum(found["sizes"]))
    for i, (start, stop) in enumerate(pairwise(bounds)):
        rows = found["rows"][start:stop]
        yield Draw(
            pool.y[rows],
            pool.groups[rows],
            found["folds"][:, start:stop],
            found["pooled"][:, :, start:stop].astype(np.float64),
            found["held_out"][i],
        )


def read_held_out(cell: Cell) -> Array:
    """Recalls and areas (draws, S, 3) of the models of all texts of each draw."""
    parts = []
    for path in sorted(FOLDER.glob(f"{cell.name}-[0-9][0-9][0-9][0-9].npz")):
        with np.load(path) as kept:
            parts.append(kept["held_out"])
    return np.concatenate(parts)
