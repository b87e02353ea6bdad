import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sktransfer.encoders.tokens import (
    TokenRows,
    batches_by_length,
    merge_windows,
    tokenize,
)
from sktransfer.exceptions import InvalidParameterError

CLS, SEP = 10, 11


@pytest.fixture(scope="module")
def digits():
    """A tokenizer that reads digits apart by spaces as themselves."""
    vocabulary = {str(digit): digit for digit in range(10)}
    vocabulary |= {"[CLS]": CLS, "[SEP]": SEP, "[UNK]": 12}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def as_lists(rows: TokenRows) -> list[list[int]]:
    return [row.tolist() for row in np.split(rows.ids, rows.offsets[1:-1])]


def test_short_texts_keep_all_tokens(digits):
    rows = tokenize(digits, ["1 2", "", "3"], max_length=8)
    assert as_lists(rows) == [[CLS, 1, 2, SEP], [CLS, SEP], [CLS, 3, SEP]]
    assert rows.lengths.tolist() == [4, 2, 3]
    assert rows.weights.tolist() == [2, 1, 1]
    assert rows.n_cut == 0


@pytest.mark.parametrize(
    ("long_text", "expected"),
    [
        ("truncate", [CLS, 1, 2, 3, 4, 5, SEP]),
        ("head_tail", [CLS, 1, 2, 3, 7, 8, SEP]),
    ],
)
def test_cut_texts_keep_their_special_tokens(digits, long_text, expected):
    texts = ["9", "1 2 3 4 5 6 7 8"]
    rows = tokenize(digits, texts, max_length=7, long_text=long_text)
    assert as_lists(rows) == [[CLS, 9, SEP], expected]
    assert rows.n_cut == 1


def test_windows_overlap_by_a_quarter_and_end_with_the_text(digits):
    texts = ["9", "1 2 3 4 5 6 7 8", ""]
    rows = tokenize(digits, texts, max_length=6, long_text="window")
    assert as_lists(rows) == [
        [CLS, 9, SEP],
        [CLS, 1, 2, 3, 4, SEP],
        [CLS, 4, 5, 6, 7, SEP],
        [CLS, 7, 8, SEP],
        [CLS, SEP],
    ]
    assert rows.text_of_row.tolist() == [0, 1, 1, 1, 2]
    assert rows.weights.tolist() == [1, 4, 4, 2, 1]
    assert rows.n_cut == 0


def test_windows_are_averaged_by_their_tokens(digits):
    rows = tokenize(digits, ["9", "1 2 3 4 5 6"], max_length=6, long_text="window")
    vectors = np.array([[1.0], [10.0], [40.0]], dtype=np.float32)
    assert rows.weights.tolist() == [1, 4, 3]
    merged = merge_windows(vectors, rows)
    assert merged.dtype == np.float32
    assert merged.tolist() == [[1.0], [pytest.approx((4 * 10 + 3 * 40) / 7)]]


def test_vectors_of_whole_texts_are_not_copied(digits):
    rows = tokenize(digits, ["1", "2"], max_length=6)
    vectors = np.zeros((2, 3), dtype=np.float32)
    assert merge_windows(vectors, rows) is vectors


def test_the_prefix_stands_before_each_text(digits):
    rows = tokenize(digits, ["1", ""], prefix="7 ", max_length=6)
    assert as_lists(rows) == [[CLS, 7, 1, SEP], [CLS, 7, SEP]]


def test_no_room_beside_special_tokens_is_an_error(digits):
    with pytest.raises(InvalidParameterError, match=r"max_length is 2 tokens.*least 3"):
        tokenize(digits, ["1"], max_length=2)


def test_an_empty_text_without_special_tokens_is_one_token():
    vocabulary = {"a": 0, "[UNK]": 1, "[PAD]": 2}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    rows = tokenize(plain, ["", "a"], max_length=4, pad_id=2)
    assert as_lists(rows) == [[2], [0]]


def test_half_of_a_surrogate_pair_is_read_as_unknown(digits):
    rows = tokenize(digits, ["1 \ud800", "2"], max_length=6)
    assert as_lists(rows) == [[CLS, 1, 12, SEP], [CLS, 2, SEP]]


def test_rows_are_padded_at_the_end(digits):
    rows = tokenize(digits, ["1 2", "", "3"], max_length=8, pad_id=99)
    input_ids, mask = rows.pad(np.array([2, 0]))
    assert input_ids.tolist() == [[CLS, 3, SEP, 99], [CLS, 1, 2, SEP]]
    assert mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


def test_rows_are_taken_in_the_order_asked_for(digits):
    rows = tokenize(digits, ["1 2", "", "3"], max_length=8)
    taken = rows.take([2, 0, 2])
    assert as_lists(taken) == [[CLS, 3, SEP], [CLS, 1, 2, SEP], [CLS, 3, SEP]]
    assert len(taken) == 3
    assert taken.text_of_row.tolist() == [2, 0, 2]
    assert len(rows.take([])) == 0


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    batch_tokens=st.integers(1, 200),
    n_workers=st.integers(1, 5),
)
def test_each_row_is_in_one_batch_within_the_budget(lengths, batch_tokens, n_workers):
    lengths = np.array(lengths)
    batches = batches_by_length(lengths, batch_tokens, n_workers)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= batch_tokens


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    max_length=st.integers(3, 12),
)
def test_windows_leave_no_token_out(digits, counts, max_length):
    texts = [" ".join(str(n % 10) for n in range(count)) for count in counts]
    rows = tokenize(digits, texts, max_length=max_length, long_text="window")
    assert rows.lengths.max() <= max_length
    step = (max_length - 2) - (max_length - 2) // 4
    for text, count in enumerate(counts):
        parts = [
            as_lists(rows.take([r]))[0]
            for r in np.flatnonzero(rows.text_of_row == text)
        ]
        assert all(part[0] == CLS and part[-1] == SEP for part in parts)
        read = [token for part in parts[:-1] for token in part[1 : 1 + step]]
        assert read + parts[-1][1:-1] == [n % 10 for n in range(count)]


@pytest.mark.parametrize("n_workers", [2, 3, 8])
def test_workers_have_as_many_tokens_each(n_workers):
    lengths = np.random.default_rng(0).integers(5, 60, size=400)
    batches = batches_by_length(lengths, 1000, n_workers)
    assert len(batches) % n_workers == 0
    tokens = [int(lengths[batch].sum()) for batch in batches]
    assert max(tokens) - min(tokens) <= 2 * lengths.max()
