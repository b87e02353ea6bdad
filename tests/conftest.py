"""A real two-layer BERT, its tokenizer and toy word vectors, all made offline."""

from __future__ import annotations

import os

# Set before anything imports a hub client: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

import numpy as np
import pytest

# Scripts, which `make attacks` and `make mutants` run.
collect_ignore = ["attacks", "mutants"]

WORDS = """
    the a an and but is was are it this that i we you very too not no never good great
    lovely fine nice bad awful poor terrible broken cheap film movie plot actor camera
    battery screen phone price works loved hated like love hate boring fun again to of
    in for with my so really quite ##s ##ing ##ed ##ly . , ! ? '
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
HAN = "这个酒店很好不差房间干净书看了喜欢没有服务太"


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path_factory, monkeypatch, request):
    """Tests never write to the user's cache; real weights are unpacked only once."""
    if request.node.get_closest_marker("real") is None:
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path_factory.getbasetemp()))


def build_tiny_bert(folder: Path, seed: int = 0, **overrides) -> Path:
    """Save a BertModel with random weights and a WordPiece tokenizer to `folder`."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *HAN]
    vocabulary += [word for word in WORDS.split() if word not in vocabulary]
    ids = {word: index for index, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    options = {
        "vocab_size": len(ids),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,
        "pad_token_id": 0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertModel(BertConfig(**(options | overrides)))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
        model_max_length=64,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> str:
    """Folder of a two-layer BERT, 32 wide, that reads 64 tokens."""
    return str(build_tiny_bert(tmp_path_factory.mktemp("tiny-bert")))


@pytest.fixture(scope="session")
def other_tiny_bert(tmp_path_factory) -> str:
    """A second one, with other weights."""
    return str(build_tiny_bert(tmp_path_factory.mktemp("other-tiny-bert"), seed=1))


@pytest.fixture(scope="session")
def toy_words() -> list[str]:
    """Words of the toy vectors, a row each."""
    return [*(word for word in WORDS.split() if word.isalpha()), *HAN]


@pytest.fixture(scope="session")
def toy_matrix(toy_words) -> np.ndarray:
    """Random vectors of shape (n_words, 8) in which good and bad lie apart."""
    matrix = np.random.default_rng(0).normal(size=(len(toy_words), 8))
    for word, side in {"good": 3, "great": 3, "bad": -3, "awful": -3}.items():
        matrix[toy_words.index(word), 0] = side
    return matrix.astype(np.float32)


@pytest.fixture(scope="session")
def sentiment_texts() -> tuple[list[str], np.ndarray]:
    """Ninety-six short texts and their labels, separable by a word each."""
    good = ["good", "great", "lovely", "fine", "nice", "fun"]
    bad = ["bad", "awful", "poor", "terrible", "boring", "broken"]
    things = ["film", "movie", "plot", "camera", "battery", "screen", "phone", "price"]
    texts = [
        f"the {thing} is {word}{ending}"
        for thing, ending in zip(things, [".", "!", " .", ""] * 2, strict=True)
        for word in good + bad
    ]
    labels = np.array(["pos"] * len(good) + ["neg"] * len(bad))
    return texts, np.tile(labels, len(things))


@pytest.fixture(scope="session")
def make_comparison():
    """Function that makes a comparison of made-up results, as large as asked for."""

    def make(
        n_strategies=6,
        *,
        train_sizes=(240,),
        names=None,
        classes=("neg", "pos"),
        failed=1,
        with_source=False,
    ):
        import pandas as pd

        from sktransfer.comparison.result import StrategyComparison

        random = np.random.default_rng(0)
        texts = [f"the battery of phone {i} is fine, I like it" for i in range(60)]
        texts[0] = "<script>document.title = 'taken over'</script> & <b>bold</b>"
        labels = np.array(classes)[np.arange(60) % len(classes)]
        if names is None:
            names = ["majority", "tfidf", *(f"strategy {i}" for i in range(98))]
        names = names[:n_strategies]
        results, folds, predictions = [], [], {}
        for place, name in enumerate(names):
            kind = "baseline" if place < 2 else "strategy" if place % 4 else "given"
            status = "failed" if place >= len(names) - failed else "done"
            for size in train_sizes:
                mean = 0.55 + 0.04 * place + 0.02 * np.log2(size / 16)
                scores = mean + random.normal(0, 0.012, 10)
                if status == "failed":
                    scores[:] = np.nan
                row = {"strategy": name, "kind": kind, "train_size": size}
                measured = {
                    "accuracy": scores.mean(),
                    "balanced_accuracy": scores.mean() - 0.01,
                    "f1_macro": scores.mean() - 0.02,
                    "fit_seconds": 0.02 * 2.3**place * size / 240,
                    "predict_seconds": 0.01 * 1.8**place,
                }
                if status == "failed":
                    measured = dict.fromkeys(measured, np.nan)
                tested = status == "done" and place != 1
                results.append(
                    {
                        **row,
                        "score": scores.mean(),
                        "score_std": scores.std(ddof=1),
                        "score_low": scores.mean() - 0.02,
                        "score_high": scores.mean() + 0.02,
                        **measured,
                        "texts_per_second": 60 / measured["predict_seconds"],
                        "n_trainable_parameters": 385.0 * 10**place,
                        "difference": scores.mean() - 0.59 if tested else np.nan,
                        "pvalue": 0.2 / 4**place if tested else np.nan,
                        "n_folds": 10,
                        "status": status,
                        "error": "ValueError: <b>no</b> GPU" * (status == "failed"),
                    }
                )
                for number, score in enumerate(scores):
                    at = {"repeat": number // 5, "fold": number % 5}
                    counts = {
                        "n_train": size,
                        "n_test": 12,
                        "score": score,
                        "fit_seconds": 1.5,
                    }
                    folds.append({**row, **at, **counts, "status": status})
            if status == "done":
                guess = random.random((60, len(classes))) * 0.8
                guess[np.arange(60), np.arange(60) % len(classes)] += 0.1 * place
                guess[0] = np.eye(len(classes))[1] + 0.01
                guess /= guess.sum(axis=1, keepdims=True)
                predictions[name] = pd.DataFrame(
                    {
                        "row": np.arange(60),
                        "repeat": 0,
                        "label": labels,
                        "predicted": np.array(classes)[guess.argmax(axis=1)],
                        **{
                            f"probability_{label}": guess[:, column]
                            for column, label in enumerate(classes)
                        },
                    }
                )
        source = (["the film is fine"] * 30 + ["a bad plot"] * 30, labels)
        return StrategyComparison(
            pd.DataFrame(results),
            pd.DataFrame(folds),
            predictions,
            classes=np.array(classes),
            texts=texts,
            labels=labels,
            scoring="accuracy",
            baseline="tfidf" if "tfidf" in names else names[0],
            source=source if with_source else None,
            verdicts=["strategy 2 is better than <tfidf> by 11.9 points (p = 0.003)."],
            domain_distance=1.31 if with_source else None,
        )

    return make
