from __future__ import annotations

import json

import numpy as np
import pytest

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files.proofs import (
    prove_ends,
    prove_finite,
    prove_numbers,
    prove_order,
    read_facts,
    seal,
)

FACTS = {
    "format": 2,
    "n_words": 2,
    "n_letters": 7,
    "width": 3,
    "dtype": "float32",
    "digest": "x",
    "proofs": "y",
    "made_of": "z",
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vectors.json"


def test_facts_are_those_that_were_written(path):
    path.write_text(json.dumps(FACTS | {"seal": seal(FACTS)}))
    assert read_facts(path) == FACTS | {"seal": seal(FACTS)}


@pytest.mark.parametrize("key", FACTS)
def test_no_fact_can_be_changed_alone(path, key):
    changed = FACTS | {"seal": seal(FACTS), key: FACTS[key] * 2}
    path.write_text(json.dumps(changed))
    with pytest.raises(WordVectorsError, match=r"its seal differs|reads formats 1"):
        read_facts(path)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 4, float("nan")])
def test_what_is_no_whole_number_within_bounds(value):
    with pytest.raises(WordVectorsError, match=r"^Toys has n=.*, but a whole"):
        prove_numbers({"n": value}, ["n"], 0, 3, "Toys")
    prove_numbers({"n": 0, "m": 3}, ["n", "m"], 0, 3, "Toys")


@pytest.mark.parametrize("ends", [[1, 4], [0, 3], [0, 5], [0, 3, 2, 4], [0, -1, 4]])
def test_ends_that_do_not_fit(ends):
    with pytest.raises(WordVectorsError, match="ends that ascend from 0 to 4"):
        prove_ends(np.array(ends), 4, "Toys")
    prove_ends(np.array([0, 2, 2, 4]), 4, "Toys")


@pytest.mark.parametrize(
    ("hashes", "order", "message"),
    [
        ([2, 1], [0, 1], "hashes that descend"),
        ([1, 2], [0, 2], "words from 0 to 2"),
        ([1, 2], [-1, 0], "words from -1 to 0"),
        ([1, 2], [0, 0], "no hash for word 1"),
    ],
)
def test_an_order_that_is_none(hashes, order, message):
    with pytest.raises(WordVectorsError, match=message):
        prove_order(np.array(hashes, np.uint32), np.array(order, np.int32), "Toys")
    for right in ([], [0], [1, 0]):
        same = np.ones(len(right), np.uint32)
        prove_order(same, np.array(right, np.int32), "Toys")


def test_numbers_that_are_not_finite_are_found_in_every_block():
    numbers = np.zeros((20_000, 2), np.float32)
    prove_finite(numbers, "Toys")
    numbers[19_999, 1] = np.inf
    with pytest.raises(WordVectorsError, match=r"Toys has .* number 19999"):
        prove_finite(numbers, "Toys")
