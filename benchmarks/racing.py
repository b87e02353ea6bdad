"""What a race of strategies changes and saves, on draws of cheap ones.

Each of 20 draws is 300 sentences of product reviews, tweets, movie reviews or news, and
15 strategies in five folds: those of the package that take seconds, copies of TF-IDF
that nearly tie with it, and some that are weak on purpose. All folds of a draw are run,
once, and kept in a journal. The race is then run for real, with each fold looked up
there, so that both sides see the same numbers. Compared are the best strategy, and what
is shown to be better or worse than TF-IDF among the rows that were run to their end.

    racing.py [DRAWS]

Also what a race would have left out of the comparison of docs/example, by its folds. A
run that was stopped goes on where it was. Writes racing.md beside this file.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from scipy.stats import norm
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sktransfer import compare_strategies, fetch_reviews
from sktransfer.comparison.run import racing, schedule, speed
from sktransfer.comparison.run.journal import JOURNAL
from sktransfer.storage import cache_folder

EXAMPLE = Path(__file__).parent.parent / "docs" / "example"
N_TEXTS, N_DRAWS, N_FOLDS, ALPHA = 300, 20, 5, 0.05
SETS = ("products", "tweets", "movies", "news")
NAMED = (
    "tfidf",
    "nbsvm",
    "vader",
    "word_vectors",
    "frozen",
    "frozen_64_32",
)


NEAR_TIES = [
    "tfidf",
    "nbsvm",
    "word_vectors",
    "tfidf, C=3",
    "counts",
    "binary counts",
    "naive Bayes",
    "neighbours",
]


def strategies() -> dict[str, Any]:
    """By name: those of the package, near ties, and weak ones."""
    linear = LogisticRegression(max_iter=1000)
    return {name: name for name in NAMED} | {
        "tfidf, C=3": make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=3, max_iter=1000),
        ),
        "counts": make_pipeline(CountVectorizer(), linear),
        "binary counts": make_pipeline(CountVectorizer(binary=True), linear),
        "letters": make_pipeline(CountVectorizer(analyzer="char"), linear),
        "20 words": make_pipeline(TfidfVectorizer(max_features=20), linear),
        "naive Bayes": make_pipeline(CountVectorizer(), BernoulliNB()),
        "neighbours": make_pipeline(TfidfVectorizer(), KNeighborsClassifier(3)),
    }


def draw(number: int) -> tuple[list[str], np.ndarray, list[Any] | None]:
    """Texts, labels and groups of a draw."""
    data = fetch_reviews("en", SETS[number % len(SETS)])
    halves = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=number)
    half, _ = next(halves.split(data.data, groups=data.groups))
    mine = np.random.default_rng(number).permutation(half)[:N_TEXTS]
    return (
        [data.data[row] for row in mine],
        np.array(data.target_names)[data.target[mine]],
        [data.groups[row] for row in mine],
    )


def compare(
    number: int, folder: Path, names: list[str] | None = None, **options: Any
) -> Any:
    """The comparison of a draw, of some strategies."""
    texts, labels, groups = draw(number)
    chosen = strategies()
    if names is not None:
        chosen = {name: chosen[name] for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare_strategies(
            texts,
            labels,
            strategies=chosen,
            groups=groups,
            cv=N_FOLDS,
            folder=folder,
            random_state=number,
            **options,
        )


def folds_in(folder: Path) -> tuple[list[bytes], dict[tuple[Any, ...], Any]]:
    """Lines of a journal that are no folds, and folds by strategy, size and number."""
    others, folds = [], {}
    for line in (folder / JOURNAL).read_bytes().splitlines(keepends=True):
        entry = json.loads(line[17:])  # behind its checksum
        if entry["entry"] == "fold":
            key = (entry["strategy"], entry["train_size"], entry["repeat"])
            folds[*key, entry["fold"]] = entry
        else:
            others.append(line)
    return others, folds


@contextlib.contextmanager
def looking_up(folds: Mapping[tuple[Any, ...], Any]) -> Iterator[None]:
    """Have comparisons look folds up that were run before."""
    evaluate = schedule.evaluate

    def look_up(task: Any, *args: Any, **options: Any) -> Any:
        found = folds[task.key]
        return {key: value for key, value in found.items() if key != "entry"}

    schedule.evaluate = look_up  # type: ignore[assignment]
    try:
        yield
    finally:
        schedule.evaluate = evaluate


def findings(comparison: Any, among: list[str]) -> dict[str, str]:
    """What is shown of strategies against the baseline."""
    rows = comparison.results.set_index("strategy").loc[among]
    rows = rows[rows["pvalue"] < ALPHA]
    return {
        name: "better" if row["difference"] > 0 else "worse"
        for name, row in rows.iterrows()
    }


def race(number: int, journals: Path, names: list[str] | None) -> dict[str, Any]:
    """Both sides of a draw."""
    others, folds = folds_in(journals / str(number))
    seconds = _encoder_seconds(others)
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        shutil.copytree(journals / str(number), copy)
        (copy / JOURNAL).write_bytes(b"".join(others))
        with looking_up(folds):
            raced = compare(number, copy, names, race=True)
        shutil.rmtree(copy)
        shutil.copytree(journals / str(number), copy)
        whole = compare(number, copy, names)
    done = raced.results.loc[raced.results["status"] == "done", "strategy"].tolist()

    def clock(table: pd.DataFrame) -> float:
        """Seconds of folds, without those of vectors, which are made once anyway."""
        spent = table["fit_seconds"] + table["predict_seconds"]
        encoded = table["strategy"].map(_encoder_of).map(seconds).fillna(0.0)
        return float((spent - encoded * (table["n_train"] + table["n_test"])).sum())

    return {
        "draw": number,
        "best": whole.best_strategy,
        "same_best": raced.best_strategy == whole.best_strategy,
        "same_findings": findings(raced, done) == findings(whole, done),
        "stopped": int((raced.results["status"] == "stopped").sum()),
        "rows": len(raced.results),
        "folds": len(raced.folds) / len(whole.folds),
        "seconds": clock(raced.folds) / clock(whole.folds),
    }


def once(number: int, journals: Path, names: list[str] | None) -> dict[str, Any]:
    """Answer of `race`, which is kept beside the journals."""
    kept = journals / f"{'all' if names is None else 'near'}-{number}.json"
    if not kept.exists():
        kept.write_text(json.dumps(race(number, journals, names)), "utf-8")
    found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
    return found


def _encoder_of(strategy: str) -> str:
    if strategy == "frozen_64_32":
        return "multilingual-e5-small"
    return strategy.partition("(")[2].rstrip(")")


def _encoder_seconds(lines: list[bytes]) -> dict[str, float]:
    """Seconds a text of each encoder; the second and slower one is E5."""
    entries = [json.loads(line[17:]) for line in lines]
    found = [e["seconds"] for e in entries if e["entry"] == "encoder"]
    return dict(zip(("all-MiniLM-L6-v2", "multilingual-e5-small"), found, strict=True))


def example() -> dict[str, Any]:
    """The most that a race could leave out of the comparison of docs/example.

    Its folds have scores, and no predictions. The error of a difference d over n texts
    is at least what it is where all texts that differ do so in the same direction,
    sqrt((d - d^2) / n), if those of a group are independent. So rows run at least these
    folds.
    """
    table = pd.read_csv(EXAMPLE / "folds.csv")
    table["seconds"] = table["fit_seconds"] + table["predict_seconds"]
    # The model of the source is fitted once, for "transferred" too.
    only = table["strategy"] == "source_only"
    table.loc[only, "seconds"] = table.loc[only, "predict_seconds"]
    scores = {name: rows["score"].tolist() for name, rows in table.groupby("strategy")}
    n_test = table.groupby("strategy")["n_test"].apply(list).to_dict()
    kept = dict.fromkeys(scores, N_FOLDS)
    dear = {"partial", "fine_tune", "transferred", "joint", "source_only"}
    for stage in ([n for n in scores if n not in dear], [*dear]):
        others = [n for n in scores if n not in dear] if stage[0] in dear else []
        for n_folds in range(1, N_FOLDS):
            running = [name for name in stage if kept[name] == N_FOLDS]
            known = running + [name for name in others if kept[name] == N_FOLDS]
            means = {name: np.mean(scores[name][:n_folds]) for name in known}
            leader = max(means, key=lambda name: means[name])
            seen = N_FOLDS if leader in others else n_folds
            for name in running:
                gap = means[leader] - means[name]
                error = np.sqrt(gap * (1 - gap) / sum(n_test[name][:n_folds]))
                looks = (N_FOLDS - 1) * (len(known) - 1)
                quantile = norm.isf(racing.LEVEL / looks)
                left = np.sqrt((N_FOLDS - n_folds) / N_FOLDS)
                is_behind = gap > 1.2 * error * quantile * left
                is_worse = means[name] < min(scores[leader][:seen])
                if is_behind and is_worse and name not in ("majority", "tfidf"):
                    kept[name] = n_folds
    ran = table["fold"] < table["strategy"].map(kept)
    tuned = table["strategy"].isin(dear)
    return {
        "folds": float(ran.mean()),
        "seconds": float(table.loc[ran, "seconds"].sum() / table["seconds"].sum()),
        "tuned": float(table.loc[tuned, "seconds"].sum() / table["seconds"].sum()),
        "stopped": ", ".join(name for name in kept if kept[name] < N_FOLDS),
    }


def report(title: str, rows: list[dict[str, Any]]) -> list[str]:
    """A table of draws."""
    table = pd.DataFrame(rows)
    lines = [
        f"## {title}",
        "",
        "| draw | texts | best | same best | same findings | stopped "
        "| folds run | of the seconds |",
        "|" + "---|" * 8,
    ]
    for row in rows:
        told = ["yes" if row[key] else "no" for key in ("same_best", "same_findings")]
        lines.append(
            f"| {row['draw']} | {SETS[row['draw'] % len(SETS)]} | {row['best']} "
            f"| {told[0]} | {told[1]} | {row['stopped']} of {row['rows']} "
            f"| {row['folds']:.0%} | {row['seconds']:.0%} |"
        )
    lines += [
        "",
        f"The same best strategy in {table['same_best'].sum()} of {len(table)} draws, "
        f"the same findings in {table['same_findings'].sum()}; "
        f"{table['folds'].mean():.0%} of the folds were run, which take "
        f"{table['seconds'].mean():.0%} of the seconds, vectors left out, as they are "
        "made once either way.",
        "",
    ]
    return lines


def main() -> None:
    """Run what is missing, and write the table."""
    n_draws = int(sys.argv[1]) if len(sys.argv) > 1 else N_DRAWS
    journals = cache_folder("racing")
    speed.SECONDS = 0.0
    for number in range(n_draws):
        compare(number, journals / str(number))
        print(number, "is there", flush=True)
    rows = {
        "All 15 rows": [once(n, journals, None) for n in range(n_draws)],
        "Near ties: without transformers, and without vader": [
            once(n, journals, NEAR_TIES) for n in range(n_draws)
        ],
    }
    most = example()
    lines = [
        "# What does a race change, and what does it save?",
        "",
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}. "
        f"{N_TEXTS} texts a draw, {N_FOLDS} folds. The race is run by the package, "
        "with folds looked up in the journal of the whole comparison.",
        "",
    ]
    for title, found in rows.items():
        lines += report(title, found)
    lines += [
        "## The comparison of docs/example",
        "",
        f"By its folds, a race would run at least {most['folds']:.0%} of them, which "
        f"take {most['seconds']:.0%} of the seconds of all folds; it could stop "
        f"{most['stopped']}. Strategies "
        f"that tune take {most['tuned']:.0%} of the seconds, and end within 1.4 points "
        "of one another but for source_only, whose model is needed for transferred as "
        "well: to stop one of them is to guess which of equals is best.",
        "",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
