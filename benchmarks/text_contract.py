"""The contract of text estimators: what ours and other packages' classes pass of it.

Each class is checked in a process of its own, offline, by `check_text_estimator` with a
tolerance of 1e-4. What is done is kept until the checks or the version of the class's
package change, so that a run which was stopped goes on where it was.

    text_contract.py [NAME ...]

checks only the rows of these names anew. Needs the extras ``bench`` and ``baselines``;
a class whose package is not there is listed with the reason. Writes text_contract.md
beside this file.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from sktransfer.storage import cache_folder
from sktransfer.testing import registry

TOLERANCE = 1e-4
TIMEOUT = 1800  # seconds of a row
FOLDER = cache_folder("benchmarks", "text_contract")
GROUP_OF = {check.__name__: group for group, check in registry.list_checks()}


def minilm() -> str:
    from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint

    return str(find_checkpoint("all-MiniLM-L6-v2").folder)


def classifier(encoder: Any = None, **parameters: Any) -> Any:
    """Ours, with all rows in one batch: else rows of weight 0 make other batches."""
    from sktransfer import TransferSentimentClassifier

    fixed = {"max_epochs": 1, "batch_size": 256, "dropout": 0.0, "random_state": 0}
    fixed["early_stopping"] = False
    return TransferSentimentClassifier(encoder, **fixed, **parameters)


def ours(name: str, **parameters: Any) -> Any:
    import sktransfer

    return getattr(sktransfer, name)(**parameters)


def of_sklearn(name: str) -> Any:
    from sklearn.feature_extraction import text

    return getattr(text, name)()


def piped(*steps: Any) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*steps)


def linear() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def of_skrub(name: str, **parameters: Any) -> Any:
    import skrub

    return getattr(skrub, name)(**parameters)


def as_column(X: Any) -> Any:
    """Texts as a column, which is all that skrub's encoders read."""
    import pandas as pd

    return pd.Series(list(X), name="text")


def behind_column(encoder: Any) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return piped(FunctionTransformer(as_column), encoder)


def static_model() -> Any:
    """GloVe as a model of model2vec, which has no weights that a package carries."""
    import numpy as np
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    from sktransfer import WordVectors

    vectors = WordVectors.load("glove-6b-50d")
    words = [*vectors.words[:20_000]]
    # The row of unknown words, in place of the rarest one.
    words[-1] = "unk" if "unk" not in words else words[-1]
    rows = {word: row for row, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(rows, unk_token="unk"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return StaticModel(np.array(vectors.matrix[: len(words)]), tokenizer)


def of_model2vec() -> Any:
    from model2vec.train import StaticModelForClassification

    return StaticModelForClassification.from_static_model(model=static_model())


def of_embetter(name: str, *arguments: Any) -> Any:
    from embetter import text

    return getattr(text, name)(*arguments)


def of_setfit() -> Any:
    from setfit import SetFitModel

    return SetFitModel.from_pretrained(minilm())


ROWS: dict[str, tuple[str, Callable[[], Any]]] = {
    "BertFeaturizer": ("sktransfer", lambda: ours("BertFeaturizer")),
    "WordVectorFeaturizer": ("sktransfer", lambda: ours("WordVectorFeaturizer")),
    "TransferSentimentClassifier, frozen MiniLM": (
        "sktransfer",
        lambda: classifier(ours("BertFeaturizer")),
    ),
    "the same, word vectors": (
        "sktransfer",
        lambda: classifier(ours("WordVectorFeaturizer")),
    ),
    "BertFeaturizer, TransferSentimentClassifier": (
        "sktransfer",
        lambda: piped(ours("BertFeaturizer"), classifier()),
    ),
    "VaderClassifier": ("sktransfer", lambda: ours("VaderClassifier")),
    "SnowNLPClassifier": ("sktransfer", lambda: ours("SnowNLPClassifier")),
    "TfidfVectorizer, NBSVMClassifier": (
        "sktransfer",
        lambda: piped(of_sklearn("TfidfVectorizer"), ours("NBSVMClassifier")),
    ),
    "CountVectorizer": ("scikit-learn", lambda: of_sklearn("CountVectorizer")),
    "TfidfVectorizer": ("scikit-learn", lambda: of_sklearn("TfidfVectorizer")),
    "HashingVectorizer": ("scikit-learn", lambda: of_sklearn("HashingVectorizer")),
    "TfidfVectorizer, LogisticRegression": (
        "scikit-learn",
        lambda: piped(of_sklearn("TfidfVectorizer"), linear()),
    ),
    "StringEncoder": ("skrub", lambda: of_skrub("StringEncoder", n_components=5)),
    "MinHashEncoder": ("skrub", lambda: of_skrub("MinHashEncoder")),
    "TextEncoder": (
        "skrub",
        lambda: of_skrub("TextEncoder", model_name=minilm(), n_components=5),
    ),
    "a step that makes a column, StringEncoder": (
        "skrub",
        lambda: behind_column(of_skrub("StringEncoder", n_components=5)),
    ),
    "a step that makes a column, MinHashEncoder": (
        "skrub",
        lambda: behind_column(of_skrub("MinHashEncoder")),
    ),
    "a step that makes a column, TextEncoder": (
        "skrub",
        lambda: behind_column(
            of_skrub("TextEncoder", model_name=minilm(), n_components=5)
        ),
    ),
    "SentenceEncoder": ("embetter", lambda: of_embetter("SentenceEncoder", minilm())),
    "TextEncoder, by model2vec": (
        "embetter",
        lambda: of_embetter("TextEncoder", static_model()),
    ),
    "StaticModelForClassification": ("model2vec", of_model2vec),
    "StaticModel": ("model2vec", static_model),
    "SetFitModel": ("setfit", of_setfit),
}


def run_row(name: str) -> dict[str, Any]:
    """What came of each check of a row, or why none was run."""
    from sktransfer.testing import check_text_estimator

    warnings.simplefilter("ignore")
    try:
        estimator = ROWS[name][1]()
        missing = [m for m in ("fit", "get_params") if not hasattr(estimator, m)]
        if missing:
            return {"reason": f"no estimator: it lacks {' and '.join(missing)}"}
        results = check_text_estimator(
            estimator, tolerance=TOLERANCE, on_fail=None, on_skip=None
        )
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {
        "results": [
            [one["check_name"], one["status"], str(one["exception"] or "")[:300]]
            for one in results
        ]
    }


def key_of(name: str) -> str:
    """Name of the file of a row: it changes with the checks and with a version."""
    digest = hashlib.sha256(f"{name} {version_of(ROWS[name][0])}".encode())
    for path in sorted(Path(registry.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def kept(name: str, anew: bool) -> dict[str, Any]:
    """What came of a row, from its file or from a process of its own."""
    path = FOLDER / f"{key_of(name)}.json"
    if path.exists() and not anew:
        return json.loads(path.read_text("utf-8"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Imported by its name, as new processes have to find `as_column` again.
    code = "import text_contract; text_contract.main()"
    command = [sys.executable, "-c", code, "--row", name, str(path)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            cwd=Path(__file__).parent,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"not done within {TIMEOUT} s"}
    if done.returncode:
        return {"reason": f"the process ended with {done.returncode}"}
    return json.loads(path.read_text("utf-8"))


def table(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["| package | class | passed | failed | skipped |", "|---|---|---|---|---|"]
    for name, row in found.items():
        package = ROWS[name][0]
        if "reason" in row:
            lines.append(f"| {package} | {name} | not run: {row['reason']} | | |")
            continue
        n = Counter(status for _, status, _ in row["results"])
        counts = f"{n['passed']} | {n['failed']} | {n['skipped']}"
        lines.append(f"| {package} | {name} | {counts} |")
    return lines


def failed_by_group(row: dict[str, Any]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for check, status, _ in row["results"]:
        if status == "failed":
            groups.setdefault(GROUP_OF[check], []).append(check[len("check_") :])
    return groups


def groups_table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Failed of those that were run, by class and group."""
    lines = [f"| class | {' | '.join(registry.GROUPS)} |"]
    lines.append("|---" * (len(registry.GROUPS) + 1) + "|")
    for name, row in found.items():
        if "results" not in row:
            continue
        cells = []
        for group in registry.GROUPS:
            here = [s for c, s, _ in row["results"] if GROUP_OF[c] == group]
            run = len(here) - here.count("skipped")
            cells.append(f"{here.count('failed')} of {run}" if run else "-")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def failures(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for name, row in found.items():
        if "results" not in row:
            continue
        groups = failed_by_group(row)
        if not groups:
            lines.append(f"- **{name}**: none.")
            continue
        told = "; ".join(f"{g}: {', '.join(names)}" for g, names in groups.items())
        lines.append(f"- **{name}**: {told}.")
    return lines


def write(found: dict[str, dict[str, Any]]) -> None:
    names = dict.fromkeys(package for package, _ in ROWS.values())
    versions = [f"{p} {version_of(p)}" for p in names if p != "sktransfer"]
    lines = [
        "# What do estimators of texts keep to?",
        "",
        f"Python {platform.python_version()}, {', '.join(versions)}; offline, with the "
        "weights and vectors that packages carry.",
        "",
        f"{len(GROUP_OF)} checks of `sktransfer.testing`, those that apply to each "
        f"class, at a tolerance of {TOLERANCE}. Classifiers of this package train for "
        "one epoch with all rows in one batch and without dropout, as rows of weight 0 "
        "change the batches else. A check is skipped where a method is not there that "
        "an estimator may lack (probabilities, names of features). Behind a vectorizer "
        "of scikit-learn, a pipeline fails what the vectorizer fails.",
        "",
        *table(found),
        "",
        "skrub's encoders read columns of data frames only, so that a list of texts is "
        "refused by most checks; the rows with a step that makes a column show the "
        "encoder itself, while what is asked of X, of tags, of the names of features "
        "and of data frames falls on that step.",
        "",
        "## Failed of those that were run, by group",
        "",
        *groups_table(found),
        "",
        "## Which checks failed",
        "",
        *failures(found),
        "",
    ]
    path = Path(__file__).with_suffix(".md")
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    if sys.argv[1:2] == ["--row"]:
        name, path = sys.argv[2:4]
        part = Path(path).with_suffix(".part")
        part.write_text(json.dumps(run_row(name)), encoding="utf-8")
        part.replace(path)
        return
    found = {}
    # Those of other packages first: most of them take seconds.
    for name in sorted(ROWS, key=lambda name: ROWS[name][0] == "sktransfer"):
        found[name] = kept(name, anew=name in sys.argv[1:])
        print(*table({name: found[name]})[2:], flush=True)
    write({name: found[name] for name in ROWS})


if __name__ == "__main__":
    main()
