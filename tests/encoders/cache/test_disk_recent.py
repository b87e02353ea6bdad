import numpy as np
import pytest

from sktransfer.encoders.cache.disk import DiskStore, RecentStore
from sktransfer.encoders.encoding import hash_texts, look_up

FINGERPRINT = "ab" * 32
WIDTH = 4


def keys_of(numbers):
    return hash_texts(map(str, numbers), FINGERPRINT)


def vectors_of(keys):
    return np.stack([np.frombuffer(key[-WIDTH:], np.uint8) for key in keys]).astype(
        np.float32
    )


def look(store, keys):
    """Which keys have a vector; each is the right one."""
    out = np.full((len(keys), WIDTH), np.nan, dtype=np.float32)
    found = store.get_many(keys, out)
    np.testing.assert_array_equal(out[found], vectors_of(keys)[found])
    return found


@pytest.fixture
def keys():
    return keys_of(range(100))


@pytest.fixture
def store(tmp_path, keys):
    """A store over a folder that knows the first sixty keys."""
    DiskStore(tmp_path).put_many(keys[:60], vectors_of(keys[:60]))
    return RecentStore(DiskStore(tmp_path))


def test_files_are_read_once(store, keys, monkeypatch):
    assert look(store, keys[:40]).all()
    asked = []
    monkeypatch.setattr(
        store.disk, "get_many", lambda keys, out, **_: asked.append(list(keys))
    )
    assert look(store, keys[39::-1]).all()
    assert asked == []


def test_only_what_is_not_in_memory_is_looked_for_in_the_folder(store, keys):
    look(store, keys[:40])
    assert look(store, keys).tolist() == [True] * 60 + [False] * 40
    info = store.cache_info()
    assert (info.hits, info.misses, info.n_vectors) == (40 + 60, 40, 60)


def test_what_another_process_writes_later_is_found(store, keys, tmp_path):
    assert not look(store, keys[60:]).any()
    DiskStore(tmp_path).put_many(keys[60:], vectors_of(keys[60:]))
    assert look(store, keys).all()


def test_calls_larger_than_a_part_of_the_memory_pass_it_by(tmp_path, keys):
    small = RecentStore(DiskStore(tmp_path), max_bytes=100 * WIDTH * 4)
    small.put_many(keys, vectors_of(keys))
    assert look(small, keys).all()
    assert small._memory.cache_info().n_vectors == 0
    assert look(small, keys[:3]).all()
    assert small._memory.cache_info().n_vectors == 3


@pytest.mark.parametrize("forget", [RecentStore.clear, lambda store: store.resize(0)])
def test_what_is_cleared_is_gone_from_memory_too(store, keys, forget):
    assert look(store, keys[:60]).all()
    forget(store)
    assert not look(store, keys).any()


def test_look_up_fills_in_a_part_of_a_larger_array(store, keys):
    wide = np.zeros((100, 2 * WIDTH), dtype=np.float32)

    def compute(indices):
        yield indices, vectors_of([keys[index] for index in indices])

    look_up(store, keys, WIDTH, compute, out=wide[:, WIDTH:])
    np.testing.assert_array_equal(wide[:, WIDTH:], vectors_of(keys))
    assert not wide[:, :WIDTH].any()


def test_a_changed_result_leaves_the_memory_as_it_was(store, keys):
    out = np.empty((60, WIDTH), dtype=np.float32)
    for _ in range(2):
        assert store.get_many(keys[:60], out).all()
        np.testing.assert_array_equal(out, vectors_of(keys[:60]))
        out[:] = -1


def test_which_texts_were_cut_is_told_from_memory_and_folder(tmp_path, keys):
    told = np.arange(len(keys)) % 2 == 0
    DiskStore(tmp_path).put_many(keys, vectors_of(keys), told)
    store = RecentStore(DiskStore(tmp_path))
    out = np.empty((len(keys), WIDTH), np.float32)
    for some in (slice(0, 60), slice(0, 60), slice(None)):
        cut = np.zeros(len(keys), dtype=bool)[some]
        assert store.get_many(keys[some], out[some], cut=cut).all()
        np.testing.assert_array_equal(cut, told[some])
