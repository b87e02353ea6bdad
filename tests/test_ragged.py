"""Rows of unequal length, beside lists of lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.ragged import Ragged, gather, positions, row_offsets

lists = st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=9)
formats = pytest.mark.parametrize("dtype", [np.int32, np.int64])


@formats
@given(rows=lists)
def test_rows_come_back_as_they_were_laid_out(dtype, rows):
    found = Ragged.from_lists(rows, dtype)
    assert list(found) == rows
    assert len(found) == len(rows)
    assert found.lengths.tolist() == list(map(len, rows))
    assert found.values.dtype == found.offsets.dtype == dtype


@formats
@given(rows=lists.filter(bool), data=st.data())
def test_rows_are_taken_in_any_order_and_again(dtype, rows, data):
    places = st.lists(st.integers(0, len(rows) - 1), max_size=12)
    indices = np.array(data.draw(places), np.int64)
    ragged = Ragged.from_lists(rows, dtype)
    found = ragged.take(indices)
    assert list(found) == [rows[index] for index in indices]
    assert found.values.dtype == found.offsets.dtype == dtype
    flat = ragged.values[ragged.positions(indices)]
    assert flat.tolist() == found.values.tolist()


@formats
@given(rows=lists, most=st.one_of(st.none(), st.integers(1, 7)))
def test_rows_are_cut_after_their_first_values(dtype, rows, most):
    found = Ragged.from_lists(rows, dtype).cut(most)
    assert list(found) == [row[:most] for row in rows]
    assert found.values.dtype == found.offsets.dtype == dtype


@formats
@given(rows=lists)
def test_values_are_kept_where_a_mask_is_true(dtype, rows):
    ragged = Ragged.from_lists(rows, dtype)
    found = ragged.keep(ragged.values % 2 == 0)
    assert list(found) == [[value for value in row if value % 2 == 0] for row in rows]
    assert found.offsets.dtype == dtype


def test_stretches_of_floats_are_gathered():
    values = np.linspace(0, 1, 11, dtype=np.float32)
    found = gather(values, np.array([8, 0, 3]), np.array([2, 0, 1]))
    assert found.dtype == np.float32
    assert np.array_equal(found, values[[8, 9, 3]])


def test_nothing_has_one_offset_and_no_positions():
    assert row_offsets([]).tolist() == [0]
    nothing = np.zeros(0, np.int64)
    assert positions(nothing, row_offsets(nothing)).tolist() == []
