"""What the small files of a checkpoint declare, each value proved before it is used.

They are JSON that anybody may have written, or a disk have damaged: whatever is of the
wrong kind or size is a CheckpointError that says the file, the entry and the value.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path, PurePosixPath
from typing import Any

from sktransfer.exceptions import CheckpointError

__all__ = [
    "LENGTHS",
    "Architecture",
    "find_module",
    "read_architecture",
    "read_max_length",
    "read_object",
    "read_pooling",
    "read_prefix",
]

#: Pattern of the files that say how many tokens are read.
LENGTHS = "sentence_*_config.json"

# More than any model has of anything, and fewer than overflow where they are added.
_MOST = 2**31

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

    path = Path("config.json")

    @property
    def kind(self) -> str:
        """Name of the architecture."""
        return str(self.get("model_type"))

    @property
    def hidden_size(self) -> int | None:
        """Width of a token's state."""
        return self._count("hidden_size", "dim", "d_model", "n_embd")

    @property
    def n_layers(self) -> int | None:
        """Number of layers above the embeddings."""
        return self._count("num_hidden_layers", "n_layers", "num_layers", "n_layer")

    @property
    def n_heads(self) -> int | None:
        """Number of attention heads of a layer."""
        return self._count("num_attention_heads", "n_heads")

    @property
    def n_words(self) -> int | None:
        """Number of tokens in the vocabulary."""
        return self._count("vocab_size")

    @property
    def pad_id(self) -> int:
        """Id of the token that fills up a batch."""
        # Some write -1 where there is none.
        found = self._number("pad_token_id", least=-1)
        return max(found or 0, 0)

    @property
    def n_positions(self) -> int | None:
        """Number of tokens that the position table has room for, if it has one."""
        positions = self._count("max_position_embeddings", "n_positions")
        if positions is not None and self.kind in _POSITIONS_AFTER_PADDING:
            positions -= self.pad_id + 1
            if positions < 1:
                raise _unusable(self.path, "pad_token_id", self.pad_id, "a smaller id")
        return positions

    def _count(self, *names: str) -> int | None:
        """Value of the first of `names` that is there and is not null, else None."""
        found = (self._number(name, least=1) for name in names)
        return next((number for number in found if number is not None), None)

    def _number(self, name: str, least: int) -> int | None:
        value = self.get(name)
        if value is None or (type(value) is int and least <= value < _MOST):
            return value
        raise _unusable(self.path, name, value, f"a whole number from {least} on")


def read_architecture(folder: Path) -> Architecture:
    """Entries of ``config.json``, checked for being those of an encoder."""
    path = folder / "config.json"
    architecture = Architecture(read_object(path))
    architecture.path = path
    if architecture.get("is_encoder_decoder"):
        raise CheckpointError(
            f"The checkpoint in {folder} is an encoder with a decoder (model_type "
            f"{architecture.get('model_type')!r}), but an encoder alone is expected: "
            "pass a BERT-like checkpoint."
        )
    return architecture


def read_pooling(root: Path) -> tuple[str, ...]:
    """Poolings by sentence-transformers' names, not all of which exist here."""
    folder = find_module(root, "Pooling")
    if not folder:
        return ("mean",)
    path = root / folder / "config.json"
    declared = _read_if_there(path)
    named = declared.get("pooling_mode")
    if named:
        several = [named] if isinstance(named, str) else named
        if not isinstance(several, list) or not all(
            isinstance(name, str) for name in several
        ):
            raise _unusable(path, "pooling_mode", named, "names of poolings")
        return tuple(several)
    flagged = (name for flag, name in _POOLING_FLAGS.items() if declared.get(flag))
    return tuple(flagged) or ("mean",)


def read_prefix(root: Path) -> str:
    """The default prompt; prompts that are only offered by name do not count."""
    path = root / "config_sentence_transformers.json"
    declared = _read_if_there(path)
    prompts, name = declared.get("prompts") or {}, declared.get("default_prompt_name")
    if name is None:
        return ""
    if not isinstance(prompts, dict) or not isinstance(name, str):
        raise _unusable(path, "prompts", prompts, "a text for each name")
    return str(prompts.get(name) or "")


def read_max_length(folder: Path, n_positions: int | None) -> int:
    """Tokens of a text that are meant to be read, special ones included."""
    limits = [n_positions] if n_positions else []
    for path in sorted(folder.glob(LENGTHS)):
        declared = _read_length(path, "max_seq_length")
        if declared:
            return min([int(declared), *limits])
    declared = _read_length(folder / "tokenizer_config.json", "model_max_length")
    # Tokenizers without a limit write a number of thirty digits.
    if declared and declared < 1_000_000:
        limits.append(int(declared))
    return min(limits, default=512)


def _read_length(path: Path, name: str) -> float | None:
    value = _read_if_there(path).get(name)
    if value is None or (type(value) in (int, float) and (not value or value >= 1)):
        return value
    raise _unusable(path, name, value, "a number of tokens")


def find_module(root: Path, kind: str) -> str | None:
    """Path, relative to `root`, of the module of that kind in ``modules.json``."""
    path = root / "modules.json"
    try:
        state = path.stat()
    except OSError:
        return None
    facts = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return _read_modules(path, facts).get(kind)


@functools.lru_cache(maxsize=16)
def _read_modules(path: Path, state: tuple[int, ...]) -> dict[str, str]:
    """Where ``modules.json`` in this state puts the first module of each kind."""
    found: dict[str, str] = {}
    for module in _read_json(path, list) or []:
        if not isinstance(module, dict):
            raise _unusable(path, "an entry", module, "type and path of a module")
        place = module.get("path") or ""
        # What names another folder than one of its own may name anybody's.
        if (
            not isinstance(place, str)
            or "\0" in place
            or PurePosixPath(place).is_absolute()
            or ".." in PurePosixPath(place).parts
        ):
            raise _unusable(path, "path", place, "a folder below this one")
        found.setdefault(str(module.get("type", "")).rpartition(".")[2], place)
    return found


def _read_if_there(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty where there is no such file."""
    return read_object(path) if path.is_file() else {}


def read_object(path: Path) -> dict[str, Any]:
    """Entries of a JSON file."""
    found: dict[str, Any] = _read_json(path, dict)
    return found


def _read_json(path: Path, kind: type[Any]) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not valid JSON ({error}): download or save the checkpoint "
            "again."
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}): download or save the "
            "checkpoint again."
        ) from error
    if not isinstance(content, kind):
        raise _unusable(path, "it", content, f"a JSON {_KINDS[kind]}")
    return content


_KINDS: dict[type[Any], str] = {dict: "object", list: "array"}


def _unusable(path: Path, name: str, value: object, expected: str) -> CheckpointError:
    shown = repr(value)
    shown = shown if len(shown) < 60 else f"{shown[:60]}..."
    return CheckpointError(
        f"In {path} {name} is {shown}, but {expected} is expected: download or save "
        "the checkpoint again."
    )
