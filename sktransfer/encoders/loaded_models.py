"""Tokenizers and modules of checkpoints: read from their files, once per process.

They stay in bounded registries. Nothing ever changes a registered module: whoever
trains takes a copy. Whatever transformers, tokenizers or safetensors raise for a bad
file becomes one kind of error here.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from sktransfer.encoders.checkpoints.checkpoint import Checkpoint, ensure_unchanged
from sktransfer.encoders.checkpoints.declarations import read_architecture
from sktransfer.encoders.checkpoints.script_tokenizer import (
    ScriptTokenizer,
    read_by_script,
)
from sktransfer.encoders.checkpoints.weights import (
    TABLE,
    TokenTable,
    forget_table,
    read_tensors,
    share_table,
    share_weights,
    with_short_table,
)
from sktransfer.encoders.compute.loop import Encoder, PaddedEncoder
from sktransfer.encoders.compute.packed import PackedEncoder
from sktransfer.encoders.tokens import is_panic
from sktransfer.exceptions import (
    CheckpointError,
    InvalidParameterError,
    SktransferError,
)
from sktransfer.load_times import loading

__all__ = [
    "copy_module",
    "load_encoder",
    "load_module",
    "load_tokenizer",
    "read_module",
    "read_tokenizer",
]

_MAX_MODULES = 4
_MAX_TOKENIZERS = 4
# Bytes of a file with about 50,000 pieces; fewer are not worth a tokenizer by script.
_LARGE = 1_500_000

_modules: OrderedDict[tuple[str, str, torch.dtype], torch.nn.Module] = OrderedDict()
_encoders: OrderedDict[tuple[str, str, torch.dtype], Encoder] = OrderedDict()
_tokenizers: OrderedDict[str, Tokenizer | ScriptTokenizer] = OrderedDict()
# Reading weights also touches settings of transformers, so there is one lock for all.
_loading = threading.RLock()


def load_tokenizer(checkpoint: Checkpoint) -> Tokenizer | ScriptTokenizer:
    """The checkpoint's tokenizer, which neither cuts nor pads.

    Do not change its settings: the whole process uses it.
    """
    with loading(f"tokenizer {checkpoint.digest}"), _loading:
        tokenizer = _tokenizers.get(checkpoint.digest)
        if tokenizer is None:
            tokenizer = read_tokenizer(checkpoint.folder)
            ensure_unchanged(checkpoint)
            _tokenizers[checkpoint.digest] = tokenizer
        _keep_recent(_tokenizers, checkpoint.digest, _MAX_TOKENIZERS)
        return tokenizer


def load_module(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> torch.nn.Module:
    """The frozen module of these weights, shared by the whole process.

    In eval mode and without gradients. It must never be changed, moved or trained;
    `copy_module` gives one that may.
    """
    key = (checkpoint.digest, str(device), dtype)
    with loading(f"module {checkpoint.digest} {device} {dtype}"), _loading:
        module = _modules.get(key)
        if module is None:
            # The encoder of the same checkpoint may hold it already.
            with _of_these_files(checkpoint):
                table = share_table(checkpoint.digest, checkpoint.folder)
                module = read_module(checkpoint.folder, dtype, table).to(device)
            _modules[key] = module.requires_grad_(False)
        _keep_recent(_modules, key, _MAX_MODULES)
        return module


def load_encoder(
    checkpoint: Checkpoint, *, device: torch.device, dtype: torch.dtype
) -> Encoder:
    """What runs these weights fastest, shared by the whole process.

    For BERT and its relatives one that computes no padding and needs no transformers,
    also in ``torch.int8``; for every other architecture the module of `load_module`.
    """
    key = (checkpoint.digest, str(device), dtype)
    with loading(f"encoder {checkpoint.digest} {device} {dtype}"), _loading:
        encoder = _encoders.get(key)
        if encoder is None:
            with _of_these_files(checkpoint):
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

    In float32 on the CPU, in eval mode, without the layer that BERT puts above its
    first token. All may change but the embeddings of a `TokenTable` not yet owned.
    """
    with _loading, _of_these_files(checkpoint):
        with loading(f"table {checkpoint.digest}"):
            table = share_table(checkpoint.digest, checkpoint.folder)
        return read_module(checkpoint.folder, torch.float32, table)


@contextlib.contextmanager
def _of_these_files(checkpoint: Checkpoint) -> Iterator[None]:
    """Raise CheckpointError unless what is read inside is of the checkpoint's digest.

    Large tensors are mapped, and so read later: who keeps what they give looks again.
    """
    try:
        with _explained(checkpoint.folder):
            yield
        ensure_unchanged(checkpoint)
    except CheckpointError:
        forget_table(checkpoint.digest)
        raise


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Make a CheckpointError of what libraries raise for files that they cannot use."""
    try:
        yield
    except (SktransferError, MemoryError):
        raise
    except BaseException as error:
        # safetensors and transformers raise a dozen kinds, and Rust's panic is none of
        # Python's exceptions.
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise CheckpointError(
            f"The weights in {folder} cannot be loaded ({error}): they must be of an "
            "architecture that transformers has (code from the hub is never run) and "
            "their files whole; download or save them again if they should be."
        ) from error


def _keep_recent(registry: OrderedDict[Any, Any], key: Any, limit: int) -> None:
    """Mark `key` as used last, and drop what was not used for longest."""
    registry.move_to_end(key)
    while len(registry) > limit:
        registry.popitem(last=False)


def read_tokenizer(folder: Path) -> Tokenizer | ScriptTokenizer:
    """Read ``tokenizer.json``, or older files that transformers can convert to it."""
    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            if path.stat().st_size >= _LARGE:
                by_script = read_by_script(path)
                if by_script is not None:
                    return by_script
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = _convert_tokenizer(folder)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    # The tokenizers library raises bare exceptions; converters raise what they like.
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise CheckpointError(
            f"No tokenizer could be read from {folder} ({error}): a valid "
            "tokenizer.json is expected there, as a fast tokenizer's save_pretrained "
            "writes it."
        ) from error
    return tokenizer


def _convert_tokenizer(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    with _quietly():
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    backend: Tokenizer = tokenizer.backend_tokenizer
    return backend


def read_module(
    folder: Path, dtype: torch.dtype, table: torch.Tensor | None = None
) -> torch.nn.Module:
    """Read weights into a new module on the CPU, in eval mode, without BERT's pooler.

    `table` are token embeddings of shape (vocabulary, width) to use as they are, in
    place of a copy of the files'. Nothing is drawn from torch's global generator, with
    which another thread may be training.
    """
    with loading("transformers"):
        from transformers import MODEL_MAPPING, AutoConfig  # noqa: F401 - takes seconds
    with _explained(folder):
        return _build_module(folder, dtype, table)


def _build_module(
    folder: Path, dtype: torch.dtype, table: torch.Tensor | None
) -> torch.nn.Module:
    from transformers import MODEL_MAPPING, AutoConfig

    config = AutoConfig.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False
    )
    kind = MODEL_MAPPING[type(config)]
    # Not in `dtype`, which transformers would make that of all threads meanwhile.
    options: dict[str, Any] = {"config": config, "dtype": torch.float32}
    # Nobody reads it, and where the file has none it would be drawn at random.
    if "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        options["add_pooling_layer"] = False
    source: str | None = str(folder)
    if table is not None:
        # The module is built with a table of few rows, which is then replaced.
        source, config.vocab_size = None, (config.pad_token_id or 0) + 1
        options["state_dict"] = with_short_table(
            read_tensors(folder), read_architecture(folder), config.vocab_size
        )
    with _quietly():
        module, report = kind.from_pretrained(
            source, local_files_only=True, output_loading_info=True, **options
        )
    given = ("pooler.",) if table is None else ("pooler.", TABLE)
    missing = [name for name in report["missing_keys"] if not name.startswith(given)]
    missing += [str(entry) for entry in report["mismatched_keys"]]
    if missing:
        raise CheckpointError(
            f"The weights in {folder} lack {len(missing)} of the tensors that their "
            f"config.json calls for, among them {min(missing)!r}: download or save the "
            "checkpoint again."
        )
    _convert(module, dtype)
    if table is not None:
        padding = module.get_input_embeddings().padding_idx
        module.set_input_embeddings(TokenTable(table, padding_idx=padding, dtype=dtype))
        module.config.vocab_size = len(table)
    if getattr(module, "pooler", None) is not None:
        module.pooler = None
    evaluating: torch.nn.Module = module.eval()
    return evaluating


def _convert(module: Any, dtype: torch.dtype) -> None:
    """Have a module of transformers in float32 compute in `dtype`.

    Some say which of their parts are to stay as they are.
    """
    if dtype == torch.float32:
        return
    kept = set(getattr(module, "_keep_in_fp32_modules_strict", None) or ())
    if dtype == torch.float16:
        kept |= set(getattr(module, "_keep_in_fp32_modules", None) or ())
    saved = module.state_dict(keep_vars=True)
    for name, tensor in saved.items():
        if tensor.is_floating_point() and kept.isdisjoint(name.split(".")):
            tensor.data = tensor.data.to(dtype)
    module.config.dtype = dtype


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence transformers' bars and reports: problems are raised as errors here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
