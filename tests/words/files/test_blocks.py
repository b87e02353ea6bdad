"""Arrays in files: what is damaged, cut or swapped is an error, whenever it happens."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.exceptions import WordVectorsError
from sktransfer.words.files.blocks import (
    BlockArray,
    HeldArray,
    count_blocks,
    digest_blocks,
    read_digests,
    read_exactly,
    split_file,
)

NUMBERS = np.random.default_rng(0).standard_normal((3000, 7)).astype(np.float32)


def write(path, numbers=NUMBERS):
    """A file of an array, and what opens it."""
    numbers.tofile(path)
    proofs = read_digests(digest_blocks(split_file(path)))
    name, shape = str(numbers.dtype), numbers.shape
    assert len(proofs) == count_blocks(name, shape)
    return lambda mend=None: BlockArray(path, name, shape, (proofs, 0), mend)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "matrix.bin"


@pytest.fixture
def opening(path):
    return write(path)


def flip(path, place):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_it_is_the_array_that_was_written(opening):
    array = opening()
    assert array.shape == (3000, 7)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array.whole(), NUMBERS)
    assert not array.whole().flags.writeable


@given(st.lists(st.integers(0, 2999), max_size=20))
def test_rows_are_those_of_an_array_in_memory(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "matrix.bin"
    places = np.array(rows, np.int64)
    for array in (write(path)(), HeldArray(NUMBERS)):
        np.testing.assert_array_equal(array.take(places), NUMBERS[places])


def test_only_blocks_that_are_asked_for_are_read(opening):
    array = opening()
    array.take(np.array([0, 2999]))
    assert np.flatnonzero(~array._missing).tolist() == [0, 5]
    # This row lies in two blocks.
    array.take(np.array([2 * 16384 // 28]))
    assert np.flatnonzero(~array._missing).tolist() == [0, 1, 2, 5]


def test_spans_of_letters_are_read_where_they_lie(path):
    letters = np.arange(200_000).astype(np.uint8)
    array = write(path, letters)()
    starts, stops = np.array([5, 40_000, 70_000]), np.array([5, 80_000, 70_001])
    found = array.load(starts, stops)
    np.testing.assert_array_equal(found[40_000:80_000], letters[40_000:80_000])
    assert np.flatnonzero(~array._missing).tolist() == [2, 3, 4]


@pytest.mark.parametrize("array", [HeldArray(NUMBERS), None])
def test_a_row_that_there_is_not_is_no_memory(array, opening):
    with pytest.raises(IndexError, match="no row 3000, as there are 3000"):
        (array or opening()).take(np.array([0, 3000]))


def test_an_empty_array_is_one_too(path):
    array = write(path, np.zeros((0, 7), np.float32))()
    assert array.whole().shape == (0, 7)
    assert array.take(np.array([], np.int64)).shape == (0, 7)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", [0, 16384, 83_999])
def test_a_flipped_bit_is_found_by_whom_it_concerns(opening, path, when, place):
    array = opening()
    if when == "after":
        array.take(np.array([1500]))
    flip(path, place)
    np.testing.assert_array_equal(array.take(np.array([1500])), NUMBERS[[1500]])
    with pytest.raises(WordVectorsError, match=r"matrix\.bin is damaged: its bytes"):
        array.whole()


def test_two_flips_of_one_bit_do_not_cancel(opening, path):
    array = opening()
    for place in (7, 15):
        flip(path, place)
    with pytest.raises(WordVectorsError, match="damaged: its bytes 0 to 16384 are not"):
        array.take(np.array([0]))


def test_blocks_that_changed_places_are_found(opening, path):
    data = path.read_bytes()
    path.write_bytes(data[16384:32768] + data[:16384] + data[32768:])
    with pytest.raises(WordVectorsError, match="is damaged"):
        opening().take(np.array([0]))


@pytest.mark.parametrize("size", [0, 1, 16384, 83_999])
def test_a_file_that_is_cut_while_it_is_open_ends_no_process(opening, path, size):
    array = opening()
    first = array.take(np.array([0]))
    os.truncate(path, size)
    np.testing.assert_array_equal(array.take(np.array([0])), first)
    with pytest.raises(WordVectorsError, match="is damaged"):
        array.whole()


@pytest.mark.parametrize("size", [0, 83_999, 84_001])
def test_another_size_is_found_at_the_opening(opening, path, size):
    os.truncate(path, size)
    with pytest.raises(WordVectorsError, match=f"is {size} bytes, but 84000 bytes"):
        opening()
    with pytest.raises(WordVectorsError, match=f"is {size} bytes, but 84000 bytes"):
        read_exactly(path, 84_000)


@pytest.mark.parametrize("what", ["nothing", "folder", "pipe"])
def test_what_is_no_file_is_not_waited_for(opening, path, what):
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    with pytest.raises(WordVectorsError, match=r"is (missing|no file), but 84000"):
        opening()


def test_a_file_that_takes_its_place_changes_nothing(opening, path, tmp_path):
    array = opening()
    (tmp_path / "other").write_bytes(b"x" * 84_000)
    (tmp_path / "other").replace(path)
    np.testing.assert_array_equal(array.whole(), NUMBERS)


def test_what_is_damaged_is_made_again_once(opening, path):
    reasons = []

    def mend(reason):
        reasons.append(reason)
        path.unlink()
        write(path)

    array = opening(mend)
    flip(path, 0)
    flip(path, 50_000)
    np.testing.assert_array_equal(array.whole(), NUMBERS)
    assert len(reasons) == 1
    assert "is damaged" in reasons[0]


def test_what_is_damaged_again_is_an_error(opening, path):
    array = opening(lambda reason: None)
    flip(path, 0)
    with pytest.raises(WordVectorsError, match="is damaged"):
        array.whole()


def test_threads_read_one_array(opening):
    rng = np.random.default_rng(1)
    for _ in range(5):
        array = opening()
        asked = [rng.integers(0, 3000, 50) for _ in range(40)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(array.take, asked))
        for rows, numbers in zip(asked, found, strict=True):
            np.testing.assert_array_equal(numbers, NUMBERS[rows])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this system")
def test_a_fork_reads_on(opening):
    array = opening()
    array.take(np.array([0]))
    child = os.fork()
    if child == 0:
        os._exit(0 if (array.whole() == NUMBERS).all() else 1)
    np.testing.assert_array_equal(array.whole(), NUMBERS)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no list of handles")  # noqa: PTH110
def test_files_are_closed_with_their_arrays(opening):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    arrays = [opening() for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before + 20  # noqa: PTH208
    del arrays
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
