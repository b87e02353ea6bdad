"""A checkpoint's files read into objects: a tokenizer, a module.

Whatever transformers, tokenizers or safetensors raise for a bad file becomes one kind
of error here. Nothing is kept; `checkpoints` does that.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from sktransfer.encoders.layout import read_architecture
from sktransfer.encoders.scripts import ScriptTokenizer, read_by_script
from sktransfer.encoders.token_table import TokenTable
from sktransfer.encoders.weights import TABLE, read_tensors, without_table
from sktransfer.exceptions import CheckpointError

__all__ = ["read_module", "read_tokenizer"]


def read_tokenizer(folder: Path) -> Tokenizer | ScriptTokenizer:
    """Read a tokenizer, and have it neither cut nor pad.

    Parameters
    ----------
    folder : pathlib.Path
        With ``tokenizer.json``, or older files that transformers can convert to it.

    Returns
    -------
    tokenizer : tokenizers.Tokenizer or ScriptTokenizer

    Raises
    ------
    CheckpointError
        If there is none that the tokenizers library can apply.
    """
    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            by_script = read_by_script(path)
            if by_script is not None:
                return by_script
            tokenizer = Tokenizer.from_file(str(path))
        else:
            tokenizer = _convert_tokenizer(folder)
    # The tokenizers library raises bare exceptions; converters raise what they like.
    except Exception as error:
        raise CheckpointError(
            f"No tokenizer could be read from {folder} ({error}): a valid "
            "tokenizer.json is expected there, as a fast tokenizer's save_pretrained "
            "writes it."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
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
    """Read weights into a new module; torch's global generator is left as it was.

    Parameters
    ----------
    folder : pathlib.Path
        With configuration and weights.
    dtype : torch.dtype
        Number format of all floating-point tensors.
    table : tensor of shape (vocabulary, width) or None, default=None
        Token embeddings to use as they are, in place of a copy of the files'; then
        `read_weights` has read these files.

    Returns
    -------
    module : torch.nn.Module
        On the CPU, in eval mode, without the layer above BERT's first token.

    Raises
    ------
    CheckpointError
        If the files are damaged or incomplete, or would need code from the hub.
    """
    from transformers import MODEL_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        kind = MODEL_MAPPING[type(config)]
        options: dict[str, Any] = {"config": config, "dtype": dtype}
        if "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
            options["add_pooling_layer"] = False
        source: str | None = str(folder)
        if table is not None:
            # The module is built with a table of few rows, which is then replaced.
            source, config.vocab_size = None, (config.pad_token_id or 0) + 1
            options["state_dict"] = without_table(
                read_tensors(folder), read_architecture(folder)
            )
        with _quietly(), torch.random.fork_rng(devices=[]):
            module, report = kind.from_pretrained(
                source, local_files_only=True, output_loading_info=True, **options
            )
    # safetensors and transformers raise a dozen kinds of error for a bad file.
    except Exception as error:
        raise CheckpointError(
            f"The weights in {folder} cannot be loaded ({error}): they must be of an "
            "architecture that transformers has (code from the hub is never run) and "
            "their files whole; download or save them again if they should be."
        ) from error
    given = ("pooler.",) if table is None else ("pooler.", TABLE)
    missing = [name for name in report["missing_keys"] if not name.startswith(given)]
    missing += [str(entry) for entry in report["mismatched_keys"]]
    if missing:
        raise CheckpointError(
            f"The weights in {folder} lack {len(missing)} of the tensors that their "
            f"config.json calls for, among them {min(missing)!r}: download or save the "
            "checkpoint again."
        )
    if table is not None:
        padding = module.get_input_embeddings().padding_idx
        module.set_input_embeddings(TokenTable(table, padding_idx=padding, dtype=dtype))
        module.config.vocab_size = len(table)
    if getattr(module, "pooler", None) is not None:
        module.pooler = None
    evaluating: torch.nn.Module = module.eval()
    return evaluating


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
