"""How good texts' vectors out of word vectors are for sentiment.

Three questions: which weighting serves English reviews best; which does where one class
is rare; and how close vectors that are distilled from a transformer come to it within a
Chinese domain, and at what speed.
Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon and zh_shopping.
Distilling takes a transformer over 136 000 words once; it is kept in the cache.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import platform
import re
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.packages import find_packaged
from sktransfer.statistics import calibration_error
from sktransfer.storage import cache_folder
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.text.lexicon import Lexicon
from sktransfer.words.vectors import WordVectors

DATA = Path(os.environ.get("SKTRANSFER_BENCH_DATA", "../shared/data"))
DOMAINS = ("books", "dvd", "electronics", "kitchen")
SOURCES = ("books", "electronics", "kitchen")
TARGETS = {"hotel": "酒店", "tablet": "平板", "books": "书籍", "clothes": "衣服"}
WEIGHTINGS = {
    "mean": {},
    "mean, idf": {"weighting": "idf"},
    "mean, SIF": {"weighting": "sif", "n_components_removed": 1},
    "mean and max": {"pooling": ("mean", "max")},
}
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
SEEDS = (0, 1, 2)
SHARES = (0.1, 0.3)
SKEW_METRICS = (
    "accuracy",
    "balanced accuracy",
    "macro-F1",
    "log loss",
    "calibration error",
)

Reviews = tuple[list[str], np.ndarray]


def english(domain: str) -> Reviews:
    texts: dict[str, int] = {}
    for label, side in enumerate(("negative", "positive")):
        path = DATA / "en_amazon" / domain / f"review_{side}"
        lines = path.read_text("utf-8").split("\n")
        texts |= {line: label for line in lines if line}
    return list(texts), np.array(list(texts.values()))


def chinese(targets: Mapping[str, str] = TARGETS) -> dict[str, Reviews]:
    archive = DATA / "zh_shopping" / "online_shopping_10_cats.zip"
    found: dict[str, dict[str, set[int]]] = {}
    with zipfile.ZipFile(archive) as files, files.open(files.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            if row["review"]:
                texts = found.setdefault(row["cat"], {})
                texts.setdefault(row["review"], set()).add(int(row["label"]))
    domains = {}
    for name, category in targets.items():
        clear = {
            text: min(sides)
            for text, sides in found[category].items()
            if len(sides) == 1
        }
        domains[name] = list(clear), np.array(list(clear.values()))
    return domains


def split(reviews: Reviews, n_train: int, n_test: int, seed: int):
    order = np.random.default_rng(seed).permutation(len(reviews[0]))
    parts = order[:n_train], order[n_train : n_train + n_test]
    return [([reviews[0][i] for i in part], reviews[1][part]) for part in parts]


def classifier():
    regression = LogisticRegression(max_iter=2000)
    grid = {"logisticregression__C": [1e-4, 1e-3, 1e-2, 1e-1, 1]}
    return GridSearchCV(make_pipeline(StandardScaler(), regression), grid, cv=3)


def accuracy(featurizer, train: Reviews, test: Reviews) -> float:
    model = classifier().fit(featurizer.fit_transform(train[0]), train[1])
    return float(model.score(featurizer.transform(test[0]), test[1]))


def distilled(language: str) -> WordVectors:
    """Vectors of words from multilingual-e5-small: 24 000 English, 112 000 Chinese."""
    folder = cache_folder("benchmarks") / f"e5-{language}"
    if not folder.exists():
        from sktransfer.encoders.featurizer import BertFeaturizer

        encoder = BertFeaturizer("multilingual-e5-small", cache=None)
        words = english_words() if language == "en" else chinese_words()
        WordVectors.distill(encoder, words).save(folder)
    return WordVectors.load(folder)


def english_words() -> list[str]:
    """What comes three times in the English reviews of the source domains."""
    lexicon = Lexicon()
    texts = [text for domain in SOURCES for text in english(domain)[0]]
    counts = np.bincount(lexicon.read(texts).words)
    return [word for word, n in zip(lexicon.words, counts, strict=True) if n >= 3]


def chinese_words() -> list[str]:
    """All of CC-CEDICT up to four characters, and punctuation."""
    folder = find_packaged("cc-cedict", "dictionary")
    assert folder is not None
    with gzip.open(next(folder.glob("*.gz")), "rt", encoding="utf-8") as file:
        words = [line.split(" ")[1] for line in file if line[0] != "#"]
    fitting = [word for word in words if re.fullmatch("[\u3400-\u9fff]{1,4}", word)]
    return list(dict.fromkeys([*fitting, *"，。！？、；：（）“”…"]))


def table_of_weightings() -> str:
    lines = [
        "## English reviews, packaged GloVe, 1,000 labels",
        "",
        f"Accuracy on 1,000 unseen reviews of the same domain, mean of {len(SEEDS)} "
        "splits; logistic regression, its strength chosen on the training part.",
        "",
        "| | " + " | ".join(DOMAINS) + " | mean |",
        "|---" * (len(DOMAINS) + 2) + "|",
    ]
    reviews = {domain: english(domain) for domain in DOMAINS}
    for name, parameters in WEIGHTINGS.items():
        scores = [
            np.mean(
                [
                    accuracy(
                        WordVectorFeaturizer(**parameters),
                        *split(reviews[domain], 1000, 1000, seed),
                    )
                    for seed in SEEDS
                ]
            )
            for domain in DOMAINS
        ]
        shown = " | ".join(f"{score:.3f}" for score in [*scores, np.mean(scores)])
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def skewed_split(domain: str, share: float) -> tuple[Reviews, Reviews]:
    """Reviews to learn from and to test on, `share` of them positive."""
    from labelled_sets import read_set  # which imports this module

    texts = read_set(domain)
    parts = texts.draw(share, 1000, 0)
    return tuple((texts.take(rows), texts.y[rows]) for rows in parts)


def metrics(featurizer, train: Reviews, test: Reviews) -> list[float]:
    """What `SKEW_METRICS` names."""
    model = classifier().fit(featurizer.fit_transform(train[0]), train[1])
    chances = model.predict_proba(featurizer.transform(test[0]))[:, 1]
    found, y = (chances > 0.5).astype(int), test[1]
    return [
        accuracy_score(y, found),
        balanced_accuracy_score(y, found),
        f1_score(y, found, average="macro"),
        log_loss(y, chances),
        calibration_error(y, chances, debiased=True),
    ]


def table_of_skew() -> str:
    lines = [
        "## English reviews, packaged GloVe, where positive ones are rare",
        "",
        "Mean over the four domains, one split of each: about 660 reviews to learn "
        "from and as many to test on at 10 %, 860 at 30 %, as half of a domain has no "
        "more. The calibration error is debiased: 0 is what perfect calibration has.",
        "",
        "| share | | " + " | ".join(SKEW_METRICS) + " |",
        "|---" * (len(SKEW_METRICS) + 2) + "|",
    ]
    for share in SHARES:
        splits = [skewed_split(domain, share) for domain in DOMAINS]
        print(share, [[len(part[0]) for part in parts] for parts in splits])
        for name, parameters in WEIGHTINGS.items():
            found = [
                metrics(WordVectorFeaturizer(**parameters), *parts) for parts in splits
            ]
            shown = " | ".join(f"{score:.3f}" for score in np.mean(found, axis=0))
            lines.append(f"| {share:.0%} | {name} | {shown} |")
    return "\n".join(lines)


def table_of_distillation(vectors: WordVectors, domains: dict[str, Reviews]) -> str:
    from sktransfer.encoders.featurizer import BertFeaturizer

    train, test = split(domains["hotel"], 1000, 1000, 0)
    rows = {
        "distilled word vectors, mean": WordVectorFeaturizer(vectors),
        "distilled word vectors, mean and max": WordVectorFeaturizer(
            vectors, pooling=("mean", "max")
        ),
        "multilingual-e5-small, frozen": BertFeaturizer("multilingual-e5-small"),
    }
    lines = [
        "## Chinese hotel reviews, 1,000 labels",
        "",
        "Accuracy on 1,000 unseen reviews, one split; texts per second over all 2,000.",
        "",
        "| | accuracy | texts per second |",
        "|---|---|---|",
    ]
    for name, featurizer in rows.items():
        featurizer.fit(train[0])
        start = time.perf_counter()
        featurizer.transform(train[0] + test[0])
        speed = 2000 / (time.perf_counter() - start)
        lines.append(
            f"| {name} | {accuracy(featurizer, train, test):.3f} | {speed:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parts = [
        "# How good are word vectors for sentiment?",
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} "
        "cores.",
        table_of_weightings(),
        table_of_skew(),
        table_of_distillation(distilled("zh"), chinese()),
    ]
    table = "\n\n".join(parts) + "\n"
    print(table)
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
