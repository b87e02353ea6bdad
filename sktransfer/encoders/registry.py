"""Pretrained weights: found, described, and loaded once per process.

A `Checkpoint` names weights and says how they are meant to be used; it is a few hundred
bytes and travels in pickles. Modules and tokenizers stay in bounded registries of the
process. Nothing ever changes a registered module: whoever trains takes a copy.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from sktransfer.encoders.checkpoints import layout
from sktransfer.encoders.checkpoints.location import find_folder, known_prefix
from sktransfer.encoders.checkpoints.reading import (
    ScriptTokenizer,
    read_module,
    read_tokenizer,
)
from sktransfer.encoders.checkpoints.weights import share_table, share_weights
from sktransfer.encoders.compute.devices import resolve_device, resolve_dtype
from sktransfer.encoders.compute.loop import Encoder, PaddedEncoder
from sktransfer.encoders.compute.packed import PackedEncoder
from sktransfer.exceptions import CheckpointError, InvalidParameterError
from sktransfer.packages import spell
from sktransfer.storage import digest_file

__all__ = [
    "Checkpoint",
    "copy_module",
    "find_checkpoint",
    "load_encoder",
    "load_module",
    "load_tokenizer",
    "resolve_device",
    "resolve_dtype",
]

_MAX_MODULES = 4
_MAX_TOKENIZERS = 4

_modules: OrderedDict[tuple[str, str, torch.dtype], torch.nn.Module] = OrderedDict()
_encoders: OrderedDict[tuple[str, str, torch.dtype], Encoder] = OrderedDict()
_tokenizers: OrderedDict[str, Tokenizer | ScriptTokenizer] = OrderedDict()
# Reading weights also touches settings of transformers, so there is one lock for all.
_loading = threading.RLock()


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

    Parameters
    ----------
    model : str or pathlib.Path
        As `find_folder` has it: a packaged name, a folder, or a hub id.
    revision : str or None, default=None
        Branch, tag or commit on the hub.
    local_files_only : bool, default=False
        Ask no network.

    Returns
    -------
    checkpoint : Checkpoint

    Raises
    ------
    CheckpointNotFoundError
        If the weights are nowhere.
    CheckpointError
        If a file is missing or unreadable, or describes no encoder.

    Examples
    --------
    >>> from sktransfer.encoders.registry import find_checkpoint
    >>> checkpoint = find_checkpoint("all-MiniLM-L6-v2")
    >>> checkpoint.hidden_size, checkpoint.pooling, checkpoint.max_length
    (384, ('mean',), 256)
    """
    root = find_folder(model, revision=revision, local_files_only=local_files_only)
    folder = layout.find_weights_folder(root)
    content, declarations = layout.list_files(root, folder)
    found = _describe(spell(model), root, folder, _stat(content), _stat(declarations))
    return found if revision is None else replace(found, revision=revision)


_States = tuple[tuple[Path, int, int], ...]


def _stat(paths: list[Path]) -> _States:
    """Path, size and time of each file: as long as they stay, so does the content."""
    states = [(path, path.stat()) for path in paths]
    return tuple((path, state.st_size, state.st_mtime_ns) for path, state in states)


@functools.lru_cache(maxsize=64)
def _describe(
    name: str, root: Path, folder: Path, content: _States, declarations: _States
) -> Checkpoint:
    """Read a folder whose files have these states; the answer is remembered."""
    architecture = layout.read_architecture(folder)
    sizes = architecture.hidden_size, architecture.n_layers
    if sizes[0] is None or sizes[1] is None:
        raise CheckpointError(
            f"{folder / 'config.json'} names no width and number of layers, but those "
            "of a text encoder are expected: pass a BERT-like checkpoint."
        )
    digest = hashlib.sha256()
    for path, *_ in content:
        digest.update(f"{path.name} {digest_file(path)}\n".encode())
    return Checkpoint(
        name=name,
        folder=folder,
        digest=digest.hexdigest(),
        pooling=layout.read_pooling(root),
        prefix=layout.read_prefix(root) or known_prefix(name),
        max_length=layout.read_max_length(folder, architecture.n_positions),
        n_positions=architecture.n_positions,
        hidden_size=sizes[0],
        n_layers=sizes[1],
        pad_id=architecture.pad_id,
    )


def load_tokenizer(checkpoint: Checkpoint) -> Tokenizer | ScriptTokenizer:
    """Return the checkpoint's tokenizer, shared by the whole process.

    Parameters
    ----------
    checkpoint : Checkpoint
        As `find_checkpoint` returned it.

    Returns
    -------
    tokenizer : tokenizers.Tokenizer or ScriptTokenizer
        It neither cuts nor pads. Do not change its settings: others use it too.

    Raises
    ------
    CheckpointError
        If the folder has no tokenizer that the tokenizers library can apply.
    """
    with _loading:
        tokenizer = _tokenizers.get(checkpoint.digest)
        if tokenizer is None:
            tokenizer = read_tokenizer(checkpoint.folder)
            _tokenizers[checkpoint.digest] = tokenizer
        _keep_recent(_tokenizers, checkpoint.digest, _MAX_TOKENIZERS)
        return tokenizer


def load_module(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    """Return the frozen module of these weights, shared by the whole process.

    Parameters
    ----------
    checkpoint : Checkpoint
        As `find_checkpoint` returned it.
    device : torch.device
        Where its tensors shall be.
    dtype : torch.dtype
        Number format of all its floating-point tensors.

    Returns
    -------
    module : torch.nn.Module
        In eval mode and without gradients. It must never be changed, moved or trained;
        `copy_module` gives one that may.

    Raises
    ------
    CheckpointError
        If the weights are damaged, incomplete, or need code from the hub.
    """
    key = (checkpoint.digest, str(device), dtype)
    with _loading:
        module = _modules.get(key)
        if module is None:
            table = share_table(checkpoint.digest, checkpoint.folder)
            module = read_module(checkpoint.folder, dtype, table).to(device)
            _modules[key] = module.requires_grad_(False)
        _keep_recent(_modules, key, _MAX_MODULES)
        return module


def load_encoder(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> Encoder:
    """Return what runs these weights fastest, shared by the whole process.

    Parameters
    ----------
    checkpoint, device, dtype
        As for `load_module`; ``torch.int8`` is for BERT and its relatives.

    Returns
    -------
    encoder : Encoder
        For BERT and its relatives one that computes no padding and needs no
        transformers; for every other architecture the module of `load_module`.

    Raises
    ------
    CheckpointError
        If the weights are damaged, incomplete, or need code from the hub.
    """
    key = (checkpoint.digest, str(device), dtype)
    with _loading:
        encoder = _encoders.get(key)
        if encoder is None:
            weights = share_weights(checkpoint.digest, checkpoint.folder)
            if weights is None and dtype == torch.int8:
                raise InvalidParameterError(
                    f"dtype is 'int8', which is for BERT and its relatives, and "
                    f"{checkpoint.name!r} is none of them: pass dtype='auto'."
                )
            encoder = _encoders[key] = (
                PaddedEncoder(load_module(checkpoint, device=device, dtype=dtype))
                if weights is None
                else PackedEncoder(weights, device=device, dtype=dtype)
            )
        _keep_recent(_encoders, key, _MAX_MODULES)
        return encoder


def copy_module(checkpoint: Checkpoint) -> torch.nn.Module:
    """Read the weights into a new module that belongs to the caller but for its table.

    Parameters
    ----------
    checkpoint : Checkpoint
        As `find_checkpoint` returned it.

    Returns
    -------
    module : torch.nn.Module
        In float32 on the CPU, in eval mode, without the layer that BERT puts above its
        first token. All may change but the embeddings of a `TokenTable` not yet owned.
    """
    with _loading:
        table = share_table(checkpoint.digest, checkpoint.folder)
        return read_module(checkpoint.folder, torch.float32, table)


def _keep_recent(registry: OrderedDict[Any, Any], key: Any, limit: int) -> None:
    """Mark `key` as used last, and drop what was not used for longest."""
    registry.move_to_end(key)
    while len(registry) > limit:
        registry.popitem(last=False)
