"""What a model of the source domain brings to the target.

Three tables: English reviews, all pairs of four domains, with 0 to 256 labels of the
target; English to Chinese through multilingual E5; and how well probabilities are
calibrated before and after temperature scaling. Each score is written to a journal as
soon as it is known, so a run that was stopped goes on where it was; the tables show
what the journal has.

    source_target.py [pairs] [calibration] [frozen] [tuned] [table]

Needs, in SKTRANSFER_BENCH_DATA, the sets en_amazon and zh_shopping.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from words_accuracy import DOMAINS, SOURCES, Reviews, chinese, english

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.data.joint_domains import pool_domains
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import TruncationWarning
from sktransfer.persistence import load, save
from sktransfer.statistics import calibration_error
from sktransfer.storage import cache_folder

JOURNAL = cache_folder("benchmarks") / "source_target.jsonl"
VECTORS = cache_folder("benchmarks", "vectors")
MODELS = cache_folder("benchmarks", "models")
N_TEST, N_POOL, N_SOURCE = 1000, 1600, 1000
LABELS = (16, 64, 256)
SEEDS, DRAWS = (0, 1, 2), (0, 1, 2, 3, 4)
# l2_sp by labels of the target, chosen among doublings from 2.5 to 320 on rows and
# draws that are in none of the tables.
PULL = {16: 80.0, 64: 40.0, 256: 20.0}
TRANSFERRED = {n: f"transferred, l2_sp={pull:g}" for n, pull in PULL.items()}
PULLS = (0.0, 10.0, PULL[64])  # tried on the Chinese domains
N_ENGLISH = 1000  # texts of each English domain that the multilingual model learns from
TUNED_TOKENS = 128  # read where layers learn; what the checkpoint declares else


class Journal:
    """Scores by name, each on the disk as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores: dict[str, float] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    self.scores.update(json.loads(line))
                except json.JSONDecodeError:  # the line of a kill
                    continue

    def score(self, name: str, compute: Callable[[], float]) -> float:
        """Score of this name; it is computed only where the journal lacks it."""
        if name not in self.scores:
            self.scores[name] = float(compute())
            with self.path.open("a") as file:
                file.write(json.dumps({name: self.scores[name]}) + "\n")
                file.flush()
                os.fsync(file.fileno())
            print(f"{name}: {self.scores[name]:.3f}", flush=True)
        return self.scores[name]

    def find(self, *parts: object) -> float:
        """Score of this name, NaN where it is not known yet."""
        return self.scores.get("/".join(map(str, parts)), np.nan)


def ordered(reviews: Reviews, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Reviews in one random order for all parts."""
    order = np.random.default_rng(0).permutation(len(reviews[0]))[:n]
    return np.array(reviews[0], object)[order], reviews[1][order]


# English, all pairs


def pairs(journal: Journal) -> None:
    domains = {}
    for domain in DOMAINS:
        texts, y = ordered(english(domain), N_TEST + N_POOL)
        encoder = BertFeaturizer(cache=VECTORS)
        domains[domain] = encoder.fit_transform(texts), y
    for seed in SEEDS:
        sources = {}
        for domain, (X, y) in domains.items():
            rows, _ = draw(seed)
            model = TransferSentimentClassifier(random_state=seed).fit(X[rows], y[rows])
            sources[domain] = MODELS / f"{domain}-{seed}"
            save(model, sources[domain])
        for source, target in itertools.permutations(DOMAINS, 2):
            one_pair(journal, seed, (source, domains[source]), sources[source], target,
                     domains[target])  # fmt: skip


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a domain as a source, and labelled rows of it as a target."""
    pool = np.random.default_rng(seed).permutation(np.arange(N_TEST, N_TEST + N_POOL))
    return pool[:N_SOURCE], pool[N_SOURCE : N_SOURCE + max(LABELS)]


def one_pair(journal, seed, source, folder, name, domain) -> None:
    X, y = domain
    test = X[:N_TEST], y[:N_TEST]
    pair = f"pairs/{source[0]}/{name}/{seed}"
    journal.score(f"{pair}/0/source only", lambda: load(folder).score(*test))
    for n in LABELS:
        few = X[draw(seed)[1][:n]], y[draw(seed)[1][:n]]
        rows = draw(seed)[0]
        theirs = source[1][0][rows], source[1][1][rows]

        def alone(few=few) -> float:
            return TransferSentimentClassifier(random_state=seed).fit(*few).score(*test)

        def joint(few=few, theirs=theirs) -> float:
            model = TransferSentimentClassifier(random_state=seed)
            return model.fit(*pool_domains(theirs, few)).score(*test)

        def transferred(few=few, pull=PULL[n]) -> float:
            model = TransferSentimentClassifier(
                init_from=folder, l2_sp=pull, random_state=seed
            )
            return model.fit(*few).score(*test)

        # The target alone is the same for each of its sources.
        journal.score(f"alone/{name}/{seed}/{n}", alone)
        journal.score(f"{pair}/{n}/joint", joint)
        journal.score(f"{pair}/{n}/{TRANSFERRED[n]}", transferred)


def table_of_pairs(journal: Journal) -> str:
    lines = [
        "## English, all pairs of four domains",
        "",
        f"Frozen all-MiniLM-L6-v2 under the 64-32 head; {N_SOURCE} texts of the "
        f"source; accuracy on {N_TEST} texts of the target, mean over 12 pairs and "
        f"{len(SEEDS)} draws. Transferred is `init_from` the source's folder with "
        f"l2_sp={', '.join(f'{pull:g}' for pull in PULL.values())} for "
        f"{', '.join(map(str, PULL))} labels, joint is `pool_domains` with equal "
        "weights. 'Best of three' "
        "takes the best of source only, target only and joint for each pair, which "
        "nobody could choose without the test.",
        "",
        "| labels of the target | source only | target only | joint | best of three "
        "| transferred | worst pair against the best of three |",
        "|---|---|---|---|---|---|---|",
    ]
    shape = [(source, target) for source, target in itertools.permutations(DOMAINS, 2)]
    before = np.array(
        [
            [journal.find("pairs", *pair, seed, 0, "source only") for seed in SEEDS]
            for pair in shape
        ]
    )
    lines.append(f"| 0 | {before.mean():.3f} | | | | {before.mean():.3f} | |")
    for n in LABELS:
        scores = {
            "alone": [
                [journal.find("alone", pair[1], seed, n) for seed in SEEDS]
                for pair in shape
            ]
        } | {
            way: [
                [journal.find("pairs", *pair, seed, n, way) for seed in SEEDS]
                for pair in shape
            ]
            for way in ("joint", TRANSFERRED[n])
        }
        alone, joint, moved = (np.mean(values, axis=1) for values in scores.values())
        best = np.max([before.mean(axis=1), alone, joint], axis=0)
        worst = (moved - best).argmin()
        lines.append(
            f"| {n} | {before.mean():.3f} | {alone.mean():.3f} | {joint.mean():.3f} | "
            f"{best.mean():.3f} | {moved.mean():.3f} | "
            f"{100 * (moved - best)[worst]:+.1f} points ({' to '.join(shape[worst])}) |"
        )
    return "\n".join(lines)


# English to Chinese


def multilingual(strategy: str = "feature_extraction", **parameters):
    encoder = BertFeaturizer("multilingual-e5-small", cache=VECTORS)
    if strategy != "feature_extraction":
        encoder.set_params(max_length=TUNED_TOKENS)
    model = TransferSentimentClassifier(encoder, strategy, random_state=0)
    return model.set_params(**parameters)


def english_texts() -> tuple[np.ndarray, np.ndarray]:
    parts = [ordered(english(domain), N_ENGLISH) for domain in SOURCES]
    return tuple(np.concatenate([part[i] for part in parts]) for i in (0, 1))


def frozen(journal: Journal) -> None:
    """Cells of English to Chinese in which the encoder rests."""
    source = english_texts()
    folder = MODELS / "english-feature_extraction"
    save(multilingual().fit(*source), folder)
    for name, test, rest in chinese_parts():
        carry(journal, folder, name, test, rest)
        for seed, few in few_labels(rest):

            def alone(few=few, test=test) -> float:
                return multilingual().fit(*few).score(*test)

            def joint(few=few, test=test) -> float:
                return multilingual().fit(*pool_domains(source, few)).score(*test)

            journal.score(f"zh/{name}/64/{seed}/alone", alone)
            journal.score(f"zh/{name}/64/{seed}/joint", joint)

        def within(rest=rest, test=test) -> float:
            strengths = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1]}
            regression = make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=2000)
            )
            search = GridSearchCV(regression, strengths)
            return make_pipeline(multilingual().encoder, search).fit(*rest).score(*test)

        journal.score(f"zh/{name}/1000/frozen", within)


def tuned(journal: Journal) -> None:
    """Cells of English to Chinese in which layers of the encoder learn."""
    for name, test, rest in chinese_parts():
        journal.score(
            f"zh/{name}/1000/fine_tune",
            lambda rest=rest, test=test: (
                multilingual("fine_tune").fit(*rest).score(*test)
            ),
        )
    for name, test, rest in chinese_parts():
        journal.score(
            f"zh/{name}/1000/head first",
            lambda rest=rest, test=test: (
                after_head(encoder__max_length=256).fit(*rest).score(*test)
            ),
        )
    for name, test, rest in chinese_parts():
        for seed, few in few_labels(rest):
            journal.score(
                f"zh/{name}/64/{seed}/head first",
                lambda few=few, test=test: (
                    after_head(max_epochs=6).fit(*few).score(*test)
                ),
            )


def after_head(**parameters) -> TransferSentimentClassifier:
    """All layers tuned slowly under a linear head that has learnt before.

    It was chosen on hotel reviews that are in no other part.
    """
    slowly = {"hidden_layer_sizes": (), "encoder_learning_rate": 3e-5}
    return multilingual(
        "fine_tune", head_first=True, early_stopping=False, **slowly | parameters
    )


def chinese_parts():
    """Name, test and labelled texts of each Chinese domain."""
    for name, reviews in chinese().items():
        texts, y = ordered(reviews, N_TEST + 1000)
        yield name, (texts[:N_TEST], y[:N_TEST]), (texts[N_TEST:], y[N_TEST:])


def few_labels(rest):
    for seed in DRAWS:
        some = np.random.default_rng(seed).permutation(1000)[:64]
        yield seed, (rest[0][some], rest[1][some])


def carry(journal: Journal, folder: Path, name: str, test, rest) -> None:
    """Score the English model untouched, and carried on with 64 Chinese labels."""
    untouched = f"zh/{name}/0/feature_extraction"
    journal.score(untouched, lambda: load(folder).score(*test))
    for (seed, few), pull in itertools.product(few_labels(rest), PULLS):

        def moved(few=few, pull=pull) -> float:
            model = multilingual(init_from=folder, l2_sp=pull)
            return model.fit(*few).score(*test)

        way = f"feature_extraction, l2_sp={pull:g}"
        journal.score(f"zh/{name}/64/{seed}/{way}", moved)


def table_of_languages(journal: Journal) -> str:
    names = list(chinese())
    rows = {
        "no Chinese label, frozen, head of English": "0/feature_extraction",
        "64 labels alone, frozen": "64/*/alone",
        "64 labels and English, joint, frozen": "64/*/joint",
        **{
            f"64 labels, frozen, from English, l2_sp={pull:g}": (
                f"64/*/feature_extraction, l2_sp={pull:g}"
            )
            for pull in PULLS
        },
        "64 labels alone, fine_tune, linear head_first, rate 3e-5, 6 epochs": (
            "64/*/head first"
        ),
        "1,000 labels, frozen, logistic regression": "1000/frozen",
        "1,000 labels, fine_tune": "1000/fine_tune",
        "1,000 labels, fine_tune, 256 tokens, linear head_first, rate 3e-5": (
            "1000/head first"
        ),
    }
    lines = [
        "## English to Chinese, multilingual-e5-small",
        "",
        f"{N_ENGLISH} English reviews of each of {', '.join(SOURCES)}; accuracy on "
        f"{N_TEST} Chinese reviews of each domain. Where layers learn, texts are cut "
        f"at {TUNED_TOKENS} tokens. 64 labels: mean of {len(DRAWS)} draws. No "
        "Chinese text was looked at before the test, except for the labels that a row "
        "names.",
        "",
        "| | " + " | ".join(names) + " | mean |",
        "|---" * (len(names) + 2) + "|",
    ]
    for title, key in rows.items():
        scores = []
        for name in names:
            keys = (
                [key.replace("*", str(seed)) for seed in DRAWS] if "*" in key else [key]
            )
            scores.append(np.mean([journal.find("zh", name, part) for part in keys]))
        if np.isnan(scores).any():  # not measured, or not for all domains
            continue
        shown = " | ".join(f"{score:.3f}" for score in [*scores, np.mean(scores)])
        lines.append(f"| {title} | {shown} |")
    return "\n".join(lines)


# Calibration


def calibration(journal: Journal) -> None:
    for domain in DOMAINS:
        texts, y = ordered(english(domain), N_TEST + N_POOL)
        X = BertFeaturizer(cache=VECTORS).fit_transform(texts)
        for seed in SEEDS:
            rows, _ = draw(seed)

            def both(X=X, y=y, rows=rows, seed=seed) -> dict[str, float]:
                model = TransferSentimentClassifier(
                    calibrate=True,
                    early_stopping=True,
                    validation_fraction=0.2,
                    max_epochs=60,
                    n_iter_no_change=60,
                    random_state=seed,
                ).fit(X[rows], y[rows])
                errors = {}
                for way, temperature in (("after", model.temperature_), ("before", 1)):
                    logits = model.decision_function(X[:N_TEST]) / temperature
                    positive = 1 / (1 + np.exp(-logits))
                    both = np.column_stack([1 - positive, positive])
                    errors[way] = calibration_error(y[:N_TEST], both)
                return errors

            found: dict[str, float] = {}
            for way in ("before", "after"):

                def one(way=way, found=found, both=both) -> float:
                    found.update(found or both())
                    return found[way]

                journal.score(f"calibration/{domain}/{seed}/{way}", one)


def table_of_calibration(journal: Journal) -> str:
    lines = [
        "## Calibration",
        "",
        "Expected calibration error (15 bins) on 1,000 unseen reviews; frozen "
        "all-MiniLM-L6-v2, 64-32 head, 1,000 labels of which a fifth decide on the "
        f"epoch and on the temperature (`calibrate=True`); mean of {len(SEEDS)} draws.",
        "",
        "| | " + " | ".join(DOMAINS) + " | mean |",
        "|---" * (len(DOMAINS) + 2) + "|",
    ]
    for way in ("before", "after"):
        errors = [
            np.mean([journal.find("calibration", d, seed, way) for seed in SEEDS])
            for d in DOMAINS
        ]
        shown = " | ".join(f"{error:.3f}" for error in [*errors, np.mean(errors)])
        lines.append(f"| {way} temperature scaling | {shown} |")
    return "\n".join(lines)


def table(journal: Journal) -> None:
    parts = [
        "# What does a model of the source domain bring to the target?",
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} "
        "cores. Lines that the journal has no scores for are left out.",
        table_of_pairs(journal),
        table_of_languages(journal),
        table_of_calibration(journal),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


def main() -> None:
    warnings.simplefilter("ignore", TruncationWarning)
    steps = {f.__name__: f for f in (pairs, calibration, frozen, tuned, table)}
    journal = Journal(JOURNAL)
    for name in sys.argv[1:] or list(steps):
        steps[name](journal)


if __name__ == "__main__":
    main()
