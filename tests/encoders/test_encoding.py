import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from filelock import FileLock

from sktransfer.encoders.cache.disk import DiskStore
from sktransfer.encoders.cache.memory import MemoryStore
from sktransfer.encoders.encoding import hash_texts, look_up

FINGERPRINT, OTHER = "ab" * 32, "cd" * 32


def vector_of(key: bytes) -> np.ndarray:
    return np.frombuffer(key[-8:], dtype=np.float32)


class Computer:
    """Computes vectors in parts of two, and remembers which."""

    def __init__(self, keys):
        self.keys = keys
        self.computed = []

    def __call__(self, indices):
        for start in range(0, len(indices), 2):
            part = indices[start : start + 2]
            self.computed += part
            yield part, np.stack([vector_of(self.keys[index]) for index in part])


@pytest.fixture
def store():
    return MemoryStore(max_bytes=1_000_000)


def test_keys_tell_texts_and_recipes_apart():
    keys = hash_texts(["a", "b", "\ud800"], FINGERPRINT)
    keys += hash_texts(["a"], OTHER)
    assert len(set(keys)) == 4
    assert {len(key) for key in keys} == {32}


def test_only_what_is_missing_is_computed(store):
    keys = hash_texts("abcde", FINGERPRINT)
    compute = Computer(keys)
    expected = np.stack([vector_of(key) for key in keys])
    np.testing.assert_array_equal(look_up(store, keys[:3], 2, compute), expected[:3])
    np.testing.assert_array_equal(look_up(store, keys, 2, compute), expected)
    assert compute.computed == [0, 1, 2, 3, 4]


def test_the_result_may_be_changed_without_harm_to_the_store(store):
    keys = hash_texts("a", FINGERPRINT)
    first = look_up(store, keys, 2, Computer(keys))
    first[:] = 0
    np.testing.assert_array_equal(
        look_up(store, keys, 2, Computer(keys))[0], vector_of(keys[0])
    )


def test_no_keys_are_no_vectors(store):
    assert look_up(store, [], 7, Computer([])).shape == (0, 7)


def test_parts_done_before_an_error_are_kept(store):
    keys = hash_texts("abcd", FINGERPRINT)

    def fail_after_two(indices):
        yield from list(Computer(keys)(indices))[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_up(store, keys, 2, fail_after_two)
    compute = Computer(keys)
    look_up(store, keys, 2, compute)
    assert compute.computed == [2, 3]


def test_a_store_without_room_still_answers():
    keys = hash_texts("abc", FINGERPRINT)
    vectors = look_up(MemoryStore(max_bytes=0), keys, 2, Computer(keys))
    np.testing.assert_array_equal(vectors[2], vector_of(keys[2]))


def test_threads_wait_for_texts_under_way(store):
    keys = hash_texts("abcdefgh", FINGERPRINT)
    started, go_on = threading.Event(), threading.Event()
    slow, fast = Computer(keys), Computer(keys)

    def compute_slowly(indices):
        started.set()
        assert go_on.wait(10)
        yield from slow(indices)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(look_up, store, keys[:6], 2, compute_slowly)
        assert started.wait(10)
        second = pool.submit(look_up, store, keys, 2, fast)
        while len(fast.computed) < 2:
            time.sleep(0.001)
        go_on.set()
        np.testing.assert_array_equal(second.result(10)[:6], first.result(10))
    assert slow.computed == [0, 1, 2, 3, 4, 5]
    assert fast.computed == [6, 7]


def test_an_interrupt_holds_no_locks_of_the_store(tmp_path):
    store, keys = DiskStore(tmp_path), hash_texts("abcd", FINGERPRINT)

    def fail(indices):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:  # and with it all frames
        look_up(store, keys, 2, fail)
    locks = list(tmp_path.rglob("turn-*.lock"))
    assert locks
    for path in locks:
        FileLock(path, timeout=0).acquire()
    assert held.type is KeyboardInterrupt


def test_an_interrupt_while_keys_are_claimed_lets_nobody_wait_for_ever(store):
    keys = hash_texts("abcd", FINGERPRINT)

    class Interrupting(list):
        n_asked = 0

        def __getitem__(self, index):
            self.n_asked += 1
            if self.n_asked == 3:
                raise KeyboardInterrupt
            return super().__getitem__(index)

    with pytest.raises(KeyboardInterrupt):
        look_up(store, Interrupting(keys), 2, Computer(keys))
    answers = []
    other = threading.Thread(
        target=lambda: answers.append(look_up(store, keys, 2, Computer(keys))),
        daemon=True,
    )
    other.start()
    other.join(10)
    expected = np.stack([vector_of(key) for key in keys])
    np.testing.assert_array_equal(answers, [expected])


def test_those_who_wait_take_over_when_a_computation_fails(store):
    keys = hash_texts("ab", FINGERPRINT)
    started, go_on = threading.Event(), threading.Event()
    other = Computer(keys)

    def fail(indices):
        started.set()
        assert go_on.wait(10)
        raise RuntimeError("no")
        yield

    with ThreadPoolExecutor() as pool:
        first = pool.submit(look_up, store, keys, 2, fail)
        assert started.wait(10)
        second = pool.submit(look_up, store, keys, 2, other)
        go_on.set()
        assert second.result(10).shape == (2, 2)
        with pytest.raises(RuntimeError, match="no"):
            first.result(10)
    assert other.computed == [0, 1]
