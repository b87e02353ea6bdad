import pytest

from sktransfer.encoders.store import MemoryStore
from sktransfer.exceptions import InvalidParameterError


def test_what_was_put_is_got_and_counted():
    store = MemoryStore(max_bytes=10_000)
    store.put_many([b"a", b"b"], [b"1", b"22"])
    assert store.get_many([b"b", b"x", b"a"]) == [b"22", None, b"1"]
    info = store.cache_info()
    assert (info.hits, info.misses, info.n_vectors) == (2, 1, 2)
    assert info.n_bytes == 5 + 2 * 200


def test_what_was_not_used_for_longest_is_forgotten():
    store = MemoryStore(max_bytes=3 * 202)
    store.put_many([b"a", b"b", b"c"], [b"1", b"2", b"3"])
    store.get_many([b"a"])
    store.put_many([b"d"], [b"4"])
    assert store.get_many([b"a", b"b", b"c", b"d"]) == [b"1", None, b"3", b"4"]
    assert store.cache_info().n_bytes == 3 * 202


def test_the_same_key_twice_takes_room_once():
    store = MemoryStore(max_bytes=1000)
    store.put_many([b"a", b"a"], [b"1", b"1"])
    assert store.cache_info().n_vectors == 1
    assert store.cache_info().n_bytes == 202


def test_resizing_and_clearing_give_memory_back():
    store = MemoryStore(max_bytes=1000)
    store.put_many([b"a", b"b"], [b"1", b"2"])
    store.resize(202)
    assert store.get_many([b"a", b"b"]) == [None, b"2"]
    store.clear()
    assert store.cache_info() == (0, 0, 0, 0, 202)


def test_a_negative_bound_is_an_error():
    with pytest.raises(InvalidParameterError, match="max_bytes is -1"):
        MemoryStore(max_bytes=-1)
