"""What the files of a checkpoint's folder declare about its use.

A checkpoint is a folder as transformers writes it. Where sentence-transformers wrote
it, ``modules.json`` and its companions also say how token states become one vector,
what is put before a text, and how many tokens are read. Only JSON is read here: neither
torch nor transformers is imported, and no weights are opened.
"""

from __future__ import annotations

import fnmatch
import functools
import os
from pathlib import Path
from typing import Any

from sktransfer.exceptions import CheckpointError
from sktransfer.storage import read_json

__all__ = [
    "Architecture",
    "find_weights_folder",
    "list_files",
    "read_architecture",
    "read_max_length",
    "read_pooling",
    "read_prefix",
]

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*")
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


def find_weights_folder(root: Path) -> Path:
    """Folder of the transformer's own files inside a checkpoint's folder.

    Parameters
    ----------
    root : pathlib.Path
        The checkpoint's folder.

    Returns
    -------
    folder : pathlib.Path
        `root` itself, except where ``modules.json`` puts the transformer deeper.

    Raises
    ------
    CheckpointError
        If there is no configuration, or there are no weights.
    """
    path = _find_module(root, "Transformer")
    folder = root / path if path else root
    names = _list_names(folder)
    missing = [] if "config.json" in names else ["config.json"]
    if not fnmatch.filter(names, _WEIGHTS[0]) + fnmatch.filter(names, _WEIGHTS[2]):
        missing.append("weights (model.safetensors)")
    if missing:
        raise CheckpointError(
            f"The folder {folder} holds no {' and no '.join(missing)}: pass a folder "
            "that save_pretrained has written, or the name of packaged weights."
        )
    return folder


def list_files(root: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """Files that make a checkpoint what it is, and files that say how to use it.

    Parameters
    ----------
    root, folder : pathlib.Path
        The checkpoint's folder and its weights' folder (usually the same).

    Returns
    -------
    content : list of pathlib.Path
        Configuration, weights and tokenizer, sorted. Where there are safetensors, other
        formats of the same weights are left out, as they are not read.
    declarations : list of pathlib.Path
        Files in the layout of sentence-transformers, sorted.
    """
    names = _list_names(folder)
    chosen = {"config.json", *fnmatch.filter(names, _WEIGHTS[1])}
    chosen.update(
        fnmatch.filter(names, _WEIGHTS[0]) or fnmatch.filter(names, _WEIGHTS[2])
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


def read_architecture(folder: Path) -> Architecture:
    """Entries of ``config.json``, checked for being those of an encoder.

    Parameters
    ----------
    folder : pathlib.Path
        The weights' folder.

    Returns
    -------
    architecture : Architecture

    Raises
    ------
    CheckpointError
        If the file is not JSON, or describes an encoder together with a decoder.
    """
    try:
        entries = read_json(folder / "config.json")
    except ValueError as error:
        raise CheckpointError(
            f"{folder / 'config.json'} is not valid JSON ({error}): download or save "
            "the checkpoint again."
        ) from error
    architecture = Architecture(entries)
    if architecture.get("is_encoder_decoder"):
        raise CheckpointError(
            f"The checkpoint in {folder} is an encoder with a decoder (model_type "
            f"{architecture.get('model_type')!r}), but an encoder alone is expected: "
            "pass a BERT-like checkpoint."
        )
    return architecture


def read_pooling(root: Path) -> tuple[str, ...]:
    """Pooling that the checkpoint declares, else ``("mean",)``.

    Parameters
    ----------
    root : pathlib.Path
        The checkpoint's folder.

    Returns
    -------
    pooling : tuple of str
        Names as sentence-transformers has them; not all of them exist here.
    """
    path = _find_module(root, "Pooling")
    declared = _read_if_there(root / (path or "") / "config.json") if path else {}
    named = declared.get("pooling_mode")
    if named:
        return (named,) if isinstance(named, str) else tuple(named)
    flagged = (name for flag, name in _POOLING_FLAGS.items() if declared.get(flag))
    return tuple(flagged) or ("mean",)


def read_prefix(root: Path) -> str:
    """Text that the checkpoint wants before each text, else the empty string.

    Parameters
    ----------
    root : pathlib.Path
        The checkpoint's folder.

    Returns
    -------
    prefix : str
        Its default prompt. Prompts that are only offered by name do not count.
    """
    declared = _read_if_there(root / "config_sentence_transformers.json")
    prompts = declared.get("prompts") or {}
    return str(prompts.get(declared.get("default_prompt_name")) or "")


def read_max_length(folder: Path, n_positions: int | None) -> int:
    """Tokens of a text that the checkpoint is meant to read.

    Parameters
    ----------
    folder : pathlib.Path
        The weights' folder.
    n_positions : int or None
        Tokens, special ones included, that the model has room for.

    Returns
    -------
    max_length : int
        Tokens, special ones included.
    """
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


def _list_names(folder: Path) -> list[str]:
    """Names in a folder: it is read at each ``transform``, so once for all patterns."""
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []


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
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except ValueError as error:
        raise CheckpointError(
            f"{path} is not valid JSON ({error}): download or save the checkpoint "
            "again."
        ) from error
