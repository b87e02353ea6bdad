"""The folder: what is in it, whether it is whole, and how it is written at once.

``manifest.json`` names the format and the digest of every other file, ``model.json`` is
the object, ``tensors.safetensors`` its arrays, ``part-*.skops`` what is scikit-learn's
alone, and ``README.md`` the card for people, who may edit it. Other files of JSON may
say what programs should know beside the object.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy

from sktransfer.bundles.card import installed_versions
from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.exceptions import ModelFolderError, SktransferError
from sktransfer.storage import digest_file, read_json, write_folder_beside, write_json

__all__ = [
    "OF_SYSTEMS",
    "check_place",
    "manifest_digest",
    "read_beside",
    "read_bundle",
    "write_bundle",
]

_FORMAT = "sktransfer model"
_FORMAT_VERSION = 1
_MANIFEST, _MODEL, _CARD = "manifest.json", "model.json", "README.md"
_TENSORS = "tensors.safetensors"
# What systems put into folders that people look at.
OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")
_MOST_TRIES = 5
_MOST_MANIFEST = 2**24
# What comes of files whose digests are right and whose content is not.
_MISFITS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)


def write_bundle(
    folder: str | os.PathLike[str],
    value: Any,
    card: str,
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Write an object to a folder, in place of an older one once it is whole.

    The value is made of plain values, arrays, and estimators of this package and of
    scikit-learn; `card` is Markdown for people; what JSON has is written under the
    names in `beside`. Raises ModelFolderError if the folder
    holds something else, or is the current one, or if the object cannot be saved.
    """
    # Through links: what they point to is replaced, and they stay.
    folder = Path(folder).expanduser().resolve()
    check_place(folder)
    packer = Packer()
    model = packer.pack(value)
    with write_folder_beside(folder) as place:
        write_json(place / _MODEL, {"model": model, "objects": packer.objects})
        safetensors.numpy.save_file(packer.tensors, place / _TENSORS)
        for name, data in packer.parts.items():
            (place / name).write_bytes(data)
        for name, content in (beside or {}).items():
            write_json(place / name, content)
        (place / _CARD).write_text(card, encoding="utf-8")
        files = {path.name: digest_file(path) for path in sorted(place.iterdir())}
        manifest = {"format": _FORMAT, "format_version": _FORMAT_VERSION}
        write_json(
            place / _MANIFEST,
            manifest | {"files": files, "versions": installed_versions()},
        )


def read_bundle(folder: str | os.PathLike[str]) -> Any:
    """Object that `write_bundle` wrote.

    Raises ModelFolderError if the folder is missing, damaged, of a later format, or
    asks for anything but plain values and known types.
    """
    path = Path(folder).expanduser().absolute()
    for _ in range(_MOST_TRIES):
        manifest = _read_manifest(path)
        try:
            value = _read_objects(path, _check_files(path, manifest))
        except (ModelFolderError, FileNotFoundError):
            if _is_still(path, manifest):
                raise
        else:
            # Of two models, one of which replaced the other meanwhile, none is made.
            if _is_still(path, manifest):
                return value
    raise ModelFolderError(
        f"{folder} was replaced again and again while it was read: load it when nobody "
        "saves to it."
    )


def read_beside(folder: str | os.PathLike[str], name: str) -> Any:
    """What stands beside an object under that name, or None where nothing does.

    Raises ModelFolderError if the folder is missing or damaged, or the file is not as
    it was written.
    """
    path = Path(folder).expanduser().absolute()
    if name not in _check_files(path, _read_manifest(path)):
        return None
    try:
        return read_json(path / name)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path / name} is damaged: {error}.") from error


def _read_objects(folder: Path, names: list[str]) -> Any:
    parts = {n: (folder / n).read_bytes() for n in names if n.endswith(".skops")}
    try:
        tensors = safetensors.numpy.load_file(folder / _TENSORS)
        content = read_json(folder / _MODEL)
        unpacker = Unpacker(content["objects"], tensors, parts)
        return unpacker.unpack(content["model"])
    except ModelFolderError as error:
        raise ModelFolderError(f"{folder} cannot be loaded: {error}") from error
    except SktransferError:  # such as weights that are not on this machine
        raise
    except _MISFITS as error:
        raise ModelFolderError(
            f"{folder} cannot be loaded: what it holds does not fit together "
            f"({type(error).__name__}: {error}). Save the model again."
        ) from error


def _is_still(folder: Path, manifest: dict[str, Any]) -> bool:
    try:
        return _read_manifest(folder) == manifest
    except ModelFolderError:
        return False


def manifest_digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 that changes with whatever is in the folder of a saved model."""
    path = Path(folder).expanduser().absolute()
    _read_manifest(path)
    return digest_file(path / _MANIFEST)


def check_place(folder: Path) -> None:
    """Refuse to save where something of somebody else's would be lost.

    Raises ModelFolderError if the folder, which may be missing, holds anything but a
    model that was saved, or is the current one.
    """
    if folder.exists() and not folder.is_dir():
        raise ModelFolderError(
            f"{str(folder)!r} is a file, but a model is saved to a folder: name one."
        )
    if Path.cwd().is_relative_to(folder):
        raise ModelFolderError(
            f"{str(folder)!r} is the current directory or holds it, and saving would "
            "put another in its place: name a new folder, such as 'model'."
        )
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if there and _MANIFEST not in there:
        raise ModelFolderError(
            f"{folder} holds files that are no saved model, and saving would remove "
            "them: choose a new folder."
        )
    if there:
        try:
            listed = _read_manifest(folder).get("files")
        except ModelFolderError as error:
            raise ModelFolderError(
                f"{error} Saving would remove what the folder holds: choose a new one."
            ) from error
        ours = {_MANIFEST, *OF_SYSTEMS, *(listed if isinstance(listed, dict) else ())}
        if others := sorted(there - ours):
            raise ModelFolderError(
                f"{folder} holds {', '.join(others[:5])} beside a saved model, and "
                "saving would remove that too: move it, or choose a new folder."
            )


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ModelFolderError(f"there is no folder {folder}: check the path.")
    path = folder / _MANIFEST
    if path.exists() and not (path.is_file() and path.stat().st_size < _MOST_MANIFEST):
        raise ModelFolderError(f"{path} is no small file, so it is none of a model.")
    try:
        manifest = read_json(path)
        if not isinstance(manifest, dict):
            raise TypeError("no JSON object")
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{folder} has no {_MANIFEST}, so it is no model that sktransfer saved: "
            "name the folder that save or the command compare has written."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} is damaged: {error}.") from error
    version = manifest.get("format_version")
    if manifest.get("format") != _FORMAT or not isinstance(version, int):
        raise ModelFolderError(f"{folder} is no model that sktransfer saved.")
    if version > _FORMAT_VERSION:
        raise ModelFolderError(
            f"{folder} has format {version}, and this sktransfer reads up to format "
            f"{_FORMAT_VERSION}: install a later one."
        )
    return manifest


def _check_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Names of the files, if each is in the folder and as it was written."""
    files = manifest.get("files")
    if not isinstance(files, dict) or not {_MODEL, _TENSORS} <= set(files):
        raise ModelFolderError(f"{folder / _MANIFEST} does not list the model's files.")
    there = {path.name: path for path in folder.iterdir()}
    for name, digest in files.items():
        path = there.get(name)
        outside = Path(name).name != name or name in ("", ".", "..")
        if outside or (path is not None and path.is_symlink()):
            raise ModelFolderError(
                f"{folder} names the file {name!r}, which is not in the folder itself: "
                "it is not read."
            )
        if name == _CARD:  # people may edit it
            continue
        if path is None or not path.is_file():
            raise ModelFolderError(f"{folder} lacks the file {name}: save it again.")
        if digest_file(path) != digest:
            raise ModelFolderError(
                f"{path} is not as it was written (another SHA-256 than in "
                f"{_MANIFEST}), so nothing of it is used: save the model again."
            )
    return list(files)
