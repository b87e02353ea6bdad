"""Pairs of words that mean the same in two languages, from a packaged dictionary."""

from __future__ import annotations

import functools
import gzip
import re
import zlib
from pathlib import Path

from sktransfer.exceptions import (
    DatasetError,
    InvalidParameterError,
    MissingExtraError,
)
from sktransfer.packages import PACKAGED, find_packaged

__all__ = ["bilingual_pairs"]

_ENTRY = re.compile(
    r"(?P<traditional>\S+) (?P<simplified>\S+) \[[^]]*\] /(?P<glosses>.*)/"
)
_NOTE = re.compile(r"\([^)]*\)|\[[^]]*\]")
_PARTICLE = re.compile(r"(?:to be|to|a|an|the) (?=[a-z'-]+$)")
_ONE_WORD = re.compile(r"[a-z][a-z'-]*")
_HAN_WORD = re.compile(r"[\u3400-\u9fff]+")


def bilingual_pairs(
    source: str, target: str, *, script: str = "simplified"
) -> list[tuple[str, str]]:
    """Words of two languages that mean the same, from CC-CEDICT.

    Each Chinese word is paired with those of its English glosses that are one word
    once notes in brackets and "to", "a", "the" are gone.

    Parameters
    ----------
    source, target : {"zh", "en"}
        The languages, which differ.
    script : {"simplified", "traditional"}, default="simplified"
        Of the Chinese words.

    Returns
    -------
    pairs : list of (str, str)
        Distinct, in the dictionary's order; a word may be in several.

    Raises
    ------
    InvalidParameterError
        If there is no dictionary for the languages.
    MissingExtraError
        If the package that carries the dictionary is not installed.
    DatasetError
        If the dictionary is damaged.

    Notes
    -----
    CC-CEDICT is a work of many volunteers under the licence CC BY-SA.

    Examples
    --------
    >>> from sktransfer.words.dictionaries import bilingual_pairs
    >>> ("酒店", "hotel") in bilingual_pairs("zh", "en")
    True
    """
    if {source, target} != {"zh", "en"}:
        raise InvalidParameterError(
            f"There is no dictionary from {source!r} to {target!r}: 'zh' and 'en' are "
            "expected, or pairs of your own."
        )
    if script not in {"simplified", "traditional"}:
        raise InvalidParameterError(
            f"script={script!r}, but 'simplified' or 'traditional' is expected."
        )
    folder = find_packaged("cc-cedict", "dictionary")
    if folder is None:
        resource = PACKAGED["cc-cedict"]
        raise MissingExtraError(
            f"CC-CEDICT comes with the package {resource.distribution}, which is not "
            f"installed: pip install 'sktransfer[{resource.extra}]'."
        )
    pairs = _read_pairs(folder, script)
    if source == "zh":
        return list(pairs)
    return [(english, chinese) for chinese, english in pairs]


@functools.lru_cache(maxsize=2)
def _read_pairs(folder: Path, script: str) -> tuple[tuple[str, str], ...]:
    pairs: dict[tuple[str, str], None] = {}
    try:
        (path,) = folder.glob("*.txt.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                pairs |= _pairs_of(line, script)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(
            f"The dictionary in {folder} cannot be read ({error}): install "
            f"{PACKAGED['cc-cedict'].distribution} again."
        ) from error
    return tuple(pairs)


def _pairs_of(line: str, script: str) -> dict[tuple[str, str], None]:
    """Pairs of one entry, in its order."""
    entry = _ENTRY.match(line)
    if entry is None or not _HAN_WORD.fullmatch(entry[script]):
        return {}
    glosses = (_NOTE.sub("", gloss) for gloss in entry["glosses"].split("/"))
    parts = (part for gloss in glosses for part in gloss.split(";"))
    words = (_PARTICLE.sub("", part.strip()) for part in parts)
    return {(entry[script], word): None for word in words if _ONE_WORD.fullmatch(word)}
