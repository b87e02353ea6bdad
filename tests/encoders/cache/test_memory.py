import numpy as np
import pytest

from sktransfer.encoders.cache.memory import MemoryStore
from sktransfer.exceptions import InvalidParameterError


def rows(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)[:, None]


def look(store, *keys: bytes) -> list[float | None]:
    """The number under each key."""
    out = rows(*[0] * len(keys))
    found = store.get_many(list(keys), out)
    return [
        float(v) if there else None for v, there in zip(out[:, 0], found, strict=True)
    ]


def test_what_was_put_is_got_and_counted():
    store = MemoryStore(max_bytes=10_000)
    store.put_many([b"a", b"b"], rows(1, 22))
    assert look(store, b"b", b"x", b"a") == [22, None, 1]
    info = store.cache_info()
    assert (info.hits, info.misses, info.n_vectors) == (2, 1, 2)
    assert info.n_bytes == 2 * 5 + 2 * 470


def test_what_was_not_used_for_longest_is_forgotten():
    store = MemoryStore(max_bytes=3 * 475)
    store.put_many([b"a", b"b", b"c"], rows(1, 2, 3))
    look(store, b"a")
    store.put_many([b"d"], rows(4))
    assert look(store, b"a", b"b", b"c", b"d") == [1, None, 3, 4]
    assert store.cache_info().n_bytes == 3 * 475


def test_the_same_key_twice_takes_room_once():
    store = MemoryStore(max_bytes=1000)
    store.put_many([b"a", b"a"], rows(1, 1))
    assert store.cache_info().n_vectors == 1
    assert store.cache_info().n_bytes == 475


def test_resizing_and_clearing_give_memory_back():
    store = MemoryStore(max_bytes=1000)
    store.put_many([b"a", b"b"], rows(1, 2))
    store.resize(475)
    assert look(store, b"a", b"b") == [None, 2]
    store.clear()
    assert store.cache_info() == (0, 0, 0, 0, 475)


def test_a_negative_bound_is_an_error():
    with pytest.raises(InvalidParameterError, match="max_bytes is -1"):
        MemoryStore(max_bytes=-1)


def test_which_texts_were_cut_is_kept_as_long_as_their_vectors():
    store = MemoryStore(max_bytes=3 * 475)
    keys = [b"a", b"b", b"c"]
    store.put_many(keys, rows(1, 2, 3), np.array([True, False, True]))
    cut = np.zeros(3, dtype=bool)
    store.get_many(keys, rows(0, 0, 0), cut=cut)
    assert cut.tolist() == [True, False, True]
    store.put_many([b"d"], rows(4))  # in place of the first
    store.put_many([b"c"], rows(3))
    cut = np.zeros(3, dtype=bool)
    store.get_many(keys, rows(0, 0, 0), cut=cut)
    assert not cut.any()
