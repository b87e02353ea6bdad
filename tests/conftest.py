"""A real two-layer BERT, its tokenizer and toy word vectors, all made offline."""

from __future__ import annotations

import os

# Set before anything imports a hub client: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

import numpy as np
import pytest

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
