"""The folder: what is in it, whether it is whole, and how it is written at once.

``manifest.json`` names the format and the digest of every other file, ``model.json`` is
the object, ``tensors.safetensors`` its arrays, ``part-*.skops`` what is scikit-learn's
alone, and ``README.md`` the card for people, who may edit it. Other files of JSON may
say what programs should know beside the object.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import safetensors
import safetensors.numpy

from sktransfer.bundles.card import installed_versions
from sktransfer.bundles.opened_folder import OpenedFolder
from sktransfer.bundles.packing import Packer, Unpacker
from sktransfer.bundles.tensors import read_tensors
from sktransfer.exceptions import ModelFolderError, SktransferError
from sktransfer.storage import digest_file, write_folder_beside, write_json
from sktransfer.turns import find_retired, put_back

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "OF_SYSTEMS",
    "check_place",
    "manifest_digest",
    "read_beside",
    "read_bundle",
    "write_bundle",
]

_FORMAT = "sktransfer model"
_FORMAT_VERSION = 2
_MANIFEST, _MODEL, _CARD = "manifest.json", "model.json", "README.md"
_TENSORS = "tensors.safetensors"
# What systems put into folders that people look at.
OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")
# Bytes that no manifest has.
_LONGEST_MANIFEST = 2**24
# Seconds after which a reader gives up, that lie between two renames at the most, and
# between two looks.
_PATIENCE = 10.0
_BETWEEN_RENAMES = 2.0
_PAUSE = 0.002
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


_Answer = TypeVar("_Answer")
_Tensors: TypeAlias = "dict[str, NDArray[np.generic]]"


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
    folder = Path(os.path.realpath(_absolute(folder)))
    name = ""  # of the file that an error is about
    try:
        _check_kind(folder)
        packer = Packer()
        model = packer.pack(value)
        check = _checks(folder)
        with write_folder_beside(folder, check=check) as place:
            # Now that no other saver is replacing what is looked at.
            if folder.exists():
                check(folder)
            for name, write in _writers(model, packer, card, beside or {}).items():
                write(place / name)
            name = _MANIFEST
            write_json(place / name, _make_manifest(place))
    except SktransferError:
        raise
    except (OSError, safetensors.SafetensorError) as error:
        raise _explain(folder / name, error) from error


def _writers(
    model: Any, packer: Packer, card: str, beside: Mapping[str, Any]
) -> dict[str, Callable[[Path], object]]:
    """What writes each file, to the path that it is called with."""
    content = {_MODEL: {"model": model, "objects": packer.objects}, **beside}
    parts = packer.parts.items()
    return {
        **{n: partial(write_json, content=c) for n, c in content.items()},
        _TENSORS: partial(safetensors.numpy.save_file, packer.tensors),
        **{n: partial(Path.write_bytes, data=data) for n, data in parts},
        _CARD: partial(Path.write_text, data=card, encoding="utf-8"),
    }


def _make_manifest(place: Path) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "files": {path.name: digest_file(path) for path in sorted(place.iterdir())},
        "versions": dict(installed_versions()),
    }


def _explain(path: Path, error: Exception) -> ModelFolderError:
    """What to do about an error of the system's in a save."""
    # The library of tensors gives the number in its words alone.
    told = re.search(r"(?:os error|code:) (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    what = getattr(error, "strerror", None) or str(error)
    remedy = "name another folder"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "make room there, or name a folder on another disk"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "name a folder in a place where you may write"
    elif number == errno.ETIMEDOUT:
        remedy = "wait for it, or name another folder"
    return ModelFolderError(
        f"{path} cannot be written ({what}): {remedy}. What was there before is as it "
        "was."
    )


def read_bundle(folder: str | os.PathLike[str]) -> Any:
    """Object that `write_bundle` wrote.

    Raises ModelFolderError if the folder is missing, damaged, of a later format, or
    asks for anything but plain values and known types.
    """
    path = _absolute(folder)
    return _make_objects(path, *_read_in_peace(path, _read_files))


def read_beside(folder: str | os.PathLike[str], name: str) -> Any:
    """What stands beside an object under that name, or None where nothing does.

    Raises ModelFolderError if the folder is missing, or the file is not as it was
    written.
    """
    path = _absolute(folder)

    def read(opened: OpenedFolder) -> Any:
        manifest, _ = _read_manifest(opened)
        if name not in _listed(opened, manifest):
            return None
        return _read_checked(opened, manifest, name)

    found = _read_in_peace(path, read)
    try:
        return None if found is None else json.loads(found)
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path / name} is damaged: {error}.") from error


def _absolute(folder: str | os.PathLike[str]) -> Path:
    if "\0" in str(folder):
        raise ModelFolderError(f"{folder!r} is no path: name a folder without '\\0'.")
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError as error:  # there is no such user
        raise ModelFolderError(f"{folder} is nowhere ({error}).") from error
    except OSError as error:
        raise ModelFolderError(
            f"{folder} cannot be found, as the current directory was removed: go to "
            "another one, or give an absolute path."
        ) from error


def _read_in_peace(path: Path, read: Callable[[OpenedFolder], _Answer]) -> _Answer:
    """Read from a folder; where another one takes its place meanwhile, from that."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _open(path) as opened:
            try:
                return read(opened)
            except (OSError, MemoryError) as error:
                # Of a folder that was replaced, files are gone, and nothing is wrong.
                if opened.is_in_place():
                    if isinstance(error, ModelFolderError):
                        raise
                    raise ModelFolderError(
                        f"{path} cannot be read ({error or type(error).__name__}): see "
                        "to that, or save the model again."
                    ) from error
        if time.monotonic() > deadline:
            raise ModelFolderError(
                f"{path} was replaced again and again while it was read: load it when "
                "nobody saves to it."
            )


def _open(path: Path) -> OpenedFolder:
    """Open a folder, which is put back if a killed process had moved it away."""
    real = Path(os.path.realpath(path))
    deadline = time.monotonic() + _BETWEEN_RENAMES
    while True:
        try:
            put_back(real)
            return OpenedFolder(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            retired = find_retired(real)
            # Where folders cannot be exchanged, one is missing between two renames.
            if time.monotonic() < deadline and (retired or path.is_dir()):
                time.sleep(_PAUSE)
                continue
            if retired:
                raise ModelFolderError(
                    f"{path} was being replaced by a process that was killed, and "
                    f"cannot be put back: rename {retired[0]} to {real.name}."
                ) from error
            raise ModelFolderError(
                f"there is no folder {path}: check the path."
            ) from error
        except OSError as error:  # such as of a path that is too long
            raise ModelFolderError(
                f"{path} cannot be read ({error.strerror}): check the path, and who "
                "may read it."
            ) from error


def _read_files(
    opened: OpenedFolder,
) -> tuple[dict[str, bytes], _Tensors | Exception, str]:
    """Content of all files but the card, each as it was written; and the tensors.

    Instead of tensors there is an error, if the file is as it was written and none.
    Last comes what to say of versions if the model cannot be made.
    """
    manifest, _ = _read_manifest(opened)
    told = _tell_versions(manifest)
    # People may edit the card, and nobody reads it here.
    names = [n for n in _listed(opened, manifest) if n not in (_CARD, _TENSORS)]
    files = {name: _read_checked(opened, manifest, name) for name in names}
    try:
        tensors, digest = opened.read_by(
            _TENSORS, lambda file: read_tensors(file.read, file.size)
        )
    except _MISFITS as error:
        if isinstance(error, MemoryError):
            raise
        _read_checked(opened, manifest, _TENSORS)
        return files, error, told
    _check_digest(opened, manifest, _TENSORS, digest)
    return files, tensors, told


def _tell_versions(manifest: dict[str, Any]) -> str:
    """What to do where the model was saved beside another scikit-learn; else ''."""
    versions, here = manifest.get("versions"), installed_versions().get("scikit-learn")
    saved = versions.get("scikit-learn") if isinstance(versions, dict) else None
    if None in (saved, here) or saved == here:
        return ""
    return (
        f" It was saved with scikit-learn {saved!s:.20}, and {here} is installed: "
        "install that version, or fit and save the model with this one."
    )


def _make_objects(
    folder: Path, files: dict[str, bytes], tensors: _Tensors | Exception, told: str
) -> Any:
    parts = {n: files[n] for n in files if n.endswith(".skops")}
    try:
        if isinstance(tensors, Exception):
            raise tensors
        content = json.loads(files[_MODEL])
        unpacker = Unpacker(content["objects"], tensors, parts)
        return unpacker.unpack(content["model"])
    except ModelFolderError as error:
        raise ModelFolderError(f"{folder} cannot be loaded: {error}{told}") from error
    except SktransferError:  # such as weights that are not on this machine
        raise
    except _MISFITS as error:
        raise ModelFolderError(
            f"{folder} cannot be loaded: what it holds does not fit together "
            f"({type(error).__name__}: {error}).{told or ' Save the model again.'}"
        ) from error


def manifest_digest(folder: str | os.PathLike[str]) -> str:
    """SHA-256 that changes with whatever is in the folder of a saved model."""
    return _read_in_peace(_absolute(folder), lambda opened: _read_manifest(opened)[1])


def check_place(folder: Path) -> None:
    """Refuse to save where something of somebody else's would be lost.

    Raises ModelFolderError if the folder, which may be missing, holds anything but a
    model that was saved, or is the current one.
    """
    _check_kind(folder)
    if folder.exists():
        _checks(folder)(folder)


def _check_kind(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise ModelFolderError(
            f"{str(folder)!r} is a file, but a model is saved to a folder: name one."
        )
    if _holds_current(folder):
        raise ModelFolderError(
            f"{str(folder)!r} is the current directory or holds it, and saving would "
            "put another in its place: name a new folder, such as 'model'."
        )


def _holds_current(folder: Path) -> bool:
    try:
        here = Path.cwd()
        return any(map(folder.samefile, (here, *here.parents)))
    except OSError:  # one of them is not there
        return False


def _checks(folder: Path) -> Callable[[Path], None]:
    """What raises ModelFolderError where a place, once `folder`, has foreign files."""

    def check(place: Path) -> None:
        there = {path.name for path in place.iterdir()}
        if there and _MANIFEST not in there:
            raise ModelFolderError(
                f"{folder} holds files that are no saved model, and saving would "
                "remove them: choose a new folder."
            )
        if there and (others := sorted(there - _own_names(place))):
            raise ModelFolderError(
                f"{folder} holds {', '.join(others[:5])} beside a saved model, and "
                "saving would remove that too: move it, or choose a new folder."
            )

    return check


def _own_names(place: Path) -> set[str]:
    """Names in a saved model's folder that saving may remove."""
    try:
        with OpenedFolder(place) as opened:
            listed = _read_manifest(opened)[0].get("files")
    except ModelFolderError as error:
        raise ModelFolderError(
            f"{error} Saving would remove what the folder holds: choose a new one."
        ) from error
    return {_MANIFEST, *OF_SYSTEMS, *(listed if isinstance(listed, dict) else ())}


def _read_manifest(opened: OpenedFolder) -> tuple[dict[str, Any], str]:
    """The manifest, if it is one of ours, and its SHA-256."""
    folder, path = opened.path, opened.path / _MANIFEST
    size = opened.size(_MANIFEST)
    if size is None and os.path.lexists(path):
        raise ModelFolderError(
            f"{path} is no ordinary file, so it is not read: name a folder that "
            "sktransfer saved."
        )
    if size is None:
        raise ModelFolderError(
            f"{folder} has no {_MANIFEST}, so it is no model that sktransfer saved: "
            "name the folder that save or the command compare has written."
        )
    if size > _LONGEST_MANIFEST:
        raise ModelFolderError(f"{path} is damaged: it has {size} bytes.")
    content, digest = opened.read(_MANIFEST)
    try:
        manifest = json.loads(content)
        if not isinstance(manifest, dict):
            raise TypeError("no JSON object")
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
    return manifest, digest


def _listed(opened: OpenedFolder, manifest: dict[str, Any]) -> list[str]:
    """Names of the files, each of which is in the folder."""
    files = manifest.get("files")
    if not isinstance(files, dict) or not {_MODEL, _TENSORS} <= set(files):
        path = opened.path / _MANIFEST
        raise ModelFolderError(f"{path} does not list the model's files.")
    for name in files:
        if opened.size(name) is None and name != _CARD:
            raise ModelFolderError(
                f"{opened.path} lacks the file {name}: save it again."
            )
    return list(files)


def _read_checked(opened: OpenedFolder, manifest: dict[str, Any], name: str) -> bytes:
    """Content of a file, as it was written."""
    content, digest = opened.read(name)
    _check_digest(opened, manifest, name, digest)
    return content


def _check_digest(
    opened: OpenedFolder, manifest: dict[str, Any], name: str, digest: str
) -> None:
    if digest != manifest["files"][name]:
        raise ModelFolderError(
            f"{opened.path / name} is not as it was written (another SHA-256 than in "
            f"{_MANIFEST}), so nothing of it is used: save the model again."
        )
