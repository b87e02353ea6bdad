from __future__ import annotations

import numpy as np

from sktransfer.comparison.checks.similar_texts import like_pairs, sketch_texts
from sktransfer.comparison.setup.folds import text_keys


def alike(*texts):
    rows = sketch_texts(text_keys(texts))
    return (rows @ rows.T).toarray()


def test_one_word_more_leaves_a_text_much_the_same():
    text = "The zip tore on the second day and nobody answered my letter"
    found = alike(text, f"{text} again", "Crisp picture, and the remote makes sense")
    assert found[0, 1] > 0.8
    assert found[0, 2] == 0


def test_chinese_is_like_other_text():
    found = alike(
        "房间很干净，服务也很好，下次还来", "房间很干净，服务也很好，下次再来"
    )
    assert found[0, 1] > 0.6


def test_of_a_long_text_a_sample_is_enough():
    random = np.random.default_rng(0)
    words = [str(number) for number in random.integers(10**6, size=900)]
    other = words.copy()
    other[100:145] = [f"new{word}" for word in words[100:145]]
    rows = sketch_texts([" ".join(words), " ".join(other)])
    assert rows.getnnz(axis=1).max() < 150
    assert 0.85 < (rows @ rows.T).toarray()[0, 1] < 1


def test_texts_without_a_run_are_like_nothing():
    assert alike("", "ok", "ok").sum() == 0
    assert sketch_texts([]).shape[0] == 0


def test_pairs_come_block_by_block():
    random = np.random.default_rng(0)
    keys = ["".join(map(str, random.integers(10**6, size=5))) for _ in range(700)]
    keys[650] = keys[3]
    rows = sketch_texts(keys)
    found = [
        pair
        for pairs in like_pairs(rows, rows, 0.9)
        for pair in zip(*pairs, strict=True)
    ]
    assert {pair for pair in found if pair[0] != pair[1]} == {(3, 650), (650, 3)}
