"""What is proved of a table's facts and arrays before anything is computed from them.

Digests show that a file holds what was written. Who writes digests too may still write
anything, so numbers that lead to places in memory are proved against one another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from sktransfer.exceptions import WordVectorsError

__all__ = [
    "MOST_LETTERS",
    "MOST_NUMBERS",
    "MOST_WORDS",
    "prove_ends",
    "prove_finite",
    "prove_numbers",
    "prove_order",
    "read_facts",
    "seal",
]

# Rows are numbered with 32 bits; no model known has more than some thousand numbers.
MOST_WORDS = 2**31 - 1
MOST_NUMBERS = 2**20
_MOST_BYTES = 2**62

# Pieces of words: a letter more than this is in no word.
MOST_LETTERS = 2**15

_MOST_BYTES_OF_FACTS = 2**20
_ROWS_A_BLOCK = 8192


def read_facts(path: Path) -> dict[str, Any]:
    """Facts of a table from a small JSON file, each of the right kind and size.

    Those of all formats; one that has a seal must be as it was sealed.
    """
    try:
        if path.stat().st_size > _MOST_BYTES_OF_FACTS:
            _refuse(path, f"{path.stat().st_size} bytes long", "some hundred bytes")
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, WordVectorsError):
            raise
        _refuse(path, f"not to be read ({error})", "the facts of vectors in JSON")
    if not isinstance(facts, dict):
        _refuse(path, f"a {type(facts).__name__}", "an object of JSON")
    form = facts.get("format")
    if type(form) is not int or form not in (1, 2):
        raise WordVectorsError(
            f"{path.parent} has format {form!r:.40}, but this version of sktransfer "
            "reads formats 1 and 2: save the vectors again."
        )
    if form == 2 and facts.get("seal") != seal(facts):
        _refuse(path, "not as it was written (its seal differs)", "an unchanged file")
    if facts.get("dtype") not in ("float32", "float16"):
        raise WordVectorsError(
            f"{path.parent} holds numbers of the type {facts.get('dtype')!r:.40}, but "
            "float32 or float16 is expected: save the vectors again."
        )
    prove_numbers(facts, ["n_words"], 1, MOST_WORDS, path)
    prove_numbers(facts, ["width"], 1, MOST_NUMBERS, path)
    for key in ("digest", *(["proofs", "made_of"] if form == 2 else [])):
        if not isinstance(facts.get(key), str):
            _refuse(path, f"one with {key}={facts.get(key)!r:.40}", "a str for it")
    if form == 2:
        prove_numbers(facts, ["n_letters"], 0, _MOST_BYTES, path)
    if "subwords" in facts:
        pieces = f"{path}, under 'subwords',"
        prove_numbers(facts["subwords"], ["n_buckets"], 0, MOST_WORDS, pieces)
    return facts


def seal(facts: dict[str, Any]) -> str:
    """Digest of all facts but the seal itself."""
    rest = {key: value for key, value in facts.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def prove_numbers(
    facts: Any, keys: Iterable[str], least: int, most: int, place: object
) -> None:
    """Whole numbers within bounds, under those keys; True is none."""
    for key in keys:
        value = facts.get(key) if isinstance(facts, dict) else None
        if type(value) is not int or not least <= value <= most:
            raise WordVectorsError(
                f"{place} has {key}={value!r:.40}, but a whole number from {least} to "
                f"{most} is expected: get the vectors again, or save them again."
            )


def prove_ends(offsets: NDArray[Any], n_letters: int, place: object) -> None:
    """Where words begin and end: from 0 on, never back, to the last letter."""
    if offsets[0] == 0 and offsets[-1] == n_letters:
        back = np.flatnonzero(offsets[1:] < offsets[:-1])
        if not len(back):
            return
        fault = f"has word {back[0]} end before it begins"
    else:
        fault = f"has words from {offsets[0]} to {offsets[-1]}"
    raise WordVectorsError(
        f"{place} {fault}, but ends that ascend from 0 to {n_letters} are expected: "
        "get the vectors again, or save them again."
    )


def prove_order(
    hashes: NDArray[np.uint32], order: NDArray[np.int32], place: object
) -> None:
    """Hashes that ascend, and the word of each: every word once."""
    n_words, fault = len(order), ""
    seen = np.zeros(n_words, bool)
    if (hashes[1:] < hashes[:-1]).any():
        fault = "hashes that descend"
    elif order.min(initial=0) < 0 or order.max(initial=0) >= max(n_words, 1):
        fault = f"words from {order.min()} to {order.max()}"
    else:
        seen[order] = True
        if not seen.all():
            fault = f"no hash for word {int(seen.argmin())}"
    if fault:
        raise WordVectorsError(
            f"{place} has {fault}, but ascending hashes, one for each of the {n_words} "
            "words, are expected: get the vectors again, or save them again."
        )


def prove_finite(numbers: NDArray[Any], place: object) -> None:
    """Numbers without infinities and NaN, of pieces of words that have no names."""
    for start in range(0, len(numbers), _ROWS_A_BLOCK):
        finite = np.isfinite(numbers[start : start + _ROWS_A_BLOCK]).all(axis=1)
        if not finite.all():
            raise WordVectorsError(
                f"{place} has numbers that are not finite for the piece of a word "
                f"number {start + int(finite.argmin())}: get the vectors again."
            )


def _refuse(path: Path, found: str, expected: str) -> NoReturn:
    raise WordVectorsError(
        f"{path} is {found}, but {expected} is expected: get the vectors again, or "
        "save them again."
    )
