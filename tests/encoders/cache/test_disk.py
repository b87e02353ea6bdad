import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sktransfer.encoders.cache import disk
from sktransfer.encoders.cache.claims import claim
from sktransfer.encoders.cache.disk import DiskStore, lock_keys
from sktransfer.encoders.cache.segments import Segment, SegmentError, write_segment
from sktransfer.encoders.encoding import hash_texts, look_up
from sktransfer.exceptions import CacheWarning

FINGERPRINT, OTHER = "ab" * 32, "cd" * 32
WIDTH = 6


def keys_of(texts, fingerprint=FINGERPRINT):
    return hash_texts(map(str, texts), fingerprint)


def vectors_of(keys):
    seeds = [int.from_bytes(key[-4:], "little") for key in keys]
    return np.array(
        [np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds],
        dtype=np.float32,
    ).reshape(-1, WIDTH)


def look(store, keys):
    """Which keys have a vector; each is the right one."""
    out = np.full((len(keys), WIDTH), np.nan, dtype=np.float32)
    found = store.get_many(keys, out)
    np.testing.assert_array_equal(out[found], vectors_of(keys)[found])
    return found


def fill(store, keys):
    store.put_many(keys, vectors_of(keys))


def files_of(store) -> list[Path]:
    return sorted(store.folder.rglob("*.vec"))


@pytest.fixture
def keys():
    return keys_of(range(100))


class TestKeeping:
    def test_another_store_reads_what_one_wrote(self, tmp_path, keys):
        fill(DiskStore(tmp_path), keys[:60])
        store = DiskStore(tmp_path)
        assert look(store, keys).tolist() == [True] * 60 + [False] * 40
        info = store.cache_info()
        assert (info.hits, info.misses, info.n_vectors) == (60, 40, 60)
        assert info.n_bytes == sum(path.stat().st_size for path in files_of(store))

    def test_what_others_write_later_is_found(self, tmp_path, keys):
        mine, other = DiskStore(tmp_path), DiskStore(tmp_path)
        assert not look(mine, keys).any()
        fill(other, keys[:50])
        fill(other, keys[50:])
        assert look(mine, keys[::-1]).all()

    def test_recipes_never_answer_for_one_another(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        assert not look(store, keys_of(range(100), OTHER)).any()

    def test_texts_are_not_stored(self, tmp_path):
        store = DiskStore(tmp_path)
        fill(store, keys_of(["a secret that nobody must read"]))
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or b"secret" not in path.read_bytes()

    def test_many_small_files_become_one(self, tmp_path, keys, monkeypatch):
        monkeypatch.setattr(disk, "_MANY", 5)
        store, other = DiskStore(tmp_path), DiskStore(tmp_path)
        for start in range(0, 100, 10):
            fill(store, keys[start : start + 10])
            look(other, keys[start : start + 10])
        assert len(files_of(store)) <= 6
        assert look(store, keys).all()
        assert look(other, keys).all()

    def test_what_was_not_used_for_longest_goes_first(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        for start in range(0, 100, 20):
            fill(store, keys[start : start + 20])
            newest = max(files_of(store), key=lambda path: path.stat().st_mtime_ns)
            os.utime(newest, (start, start))
        one = files_of(store)[0].stat().st_size
        look(store, keys[:20])
        store.resize(3 * one)
        found = look(store, keys)
        assert found[:20].all()
        assert found.sum() == 40
        store.clear()
        assert not look(store, keys).any()
        assert store.cache_info().n_bytes == 0

    def test_no_room_at_all_is_no_error(self, tmp_path, keys):
        store = DiskStore(tmp_path, max_bytes=10)
        fill(store, keys)
        assert not look(store, keys).any()


class TestFaults:
    @pytest.mark.parametrize("place", [3, 20, 50, 100, 1700, 2500, -1])
    def test_a_garbled_file_is_encoded_again(self, tmp_path, keys, place):
        fill(DiskStore(tmp_path), keys)
        [path] = files_of(DiskStore(tmp_path))
        content = bytearray(path.read_bytes())
        content[place] ^= 0x10
        path.write_bytes(content)
        store = DiskStore(tmp_path)
        with pytest.warns(CacheWarning, match=r"damaged file.*only slower"):
            assert not look(store, keys).all()
        fill(store, keys)
        assert look(store, keys).all()
        assert look(DiskStore(tmp_path), keys).all()

    @pytest.mark.parametrize("length", [0, 30, 64, 500, 3000, -1])
    def test_a_truncated_file_is_encoded_again(self, tmp_path, keys, length):
        fill(DiskStore(tmp_path), keys)
        [path] = files_of(DiskStore(tmp_path))
        path.write_bytes(path.read_bytes()[:length])
        with pytest.warns(CacheWarning, match="damaged file"):
            assert not look(DiskStore(tmp_path), keys).any()

    def test_a_file_that_is_cut_while_it_is_open(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        assert look(store, keys).all()
        with files_of(store)[0].open("r+b") as file:
            file.truncate(200)
        with pytest.warns(CacheWarning, match="changed after it was opened"):
            assert not look(store, keys).any()

    @pytest.mark.parametrize("bit", [0, 7, 31, 32, 62, 63])
    def test_no_pair_of_changes_cancels(self, tmp_path, keys, bit):
        fill(DiskStore(tmp_path), keys[:1])
        [path] = files_of(DiskStore(tmp_path))
        content = path.read_bytes()
        words = 8 * WIDTH // 2
        for one, two in itertools.combinations(range(-words, 0, 8), 2):
            changed = bytearray(content)
            for place in (one, two):
                changed[place + bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            segment = Segment(path)
            with pytest.raises(SegmentError, match="vectors in it are damaged"):
                segment.read(np.zeros(1, int), np.empty((1, WIDTH), "f4"), np.zeros(1))

    @pytest.mark.parametrize("has_pread", [True, False])
    def test_any_rows_are_read_in_any_order(self, tmp_path, monkeypatch, has_pread):
        if not has_pread:
            monkeypatch.delattr(os, "pread")
        rng = np.random.default_rng(0)
        halves = np.arange(400, dtype=np.uint64).reshape(200, 2)
        vectors = rng.normal(size=(200, WIDTH)).astype(np.float32)
        write_segment(tmp_path / "s.vec", halves, vectors)
        segment = Segment(tmp_path / "s.vec")
        for chosen in ([199, 3, 77], [5, 150], [8, 7, 6, 5], list(range(200))):
            out = np.zeros((len(chosen), WIDTH), np.float32)
            segment.read(np.array(chosen), out, np.arange(len(chosen)))
            np.testing.assert_array_equal(out, vectors[chosen])

    def test_a_vector_under_the_key_of_another_is_damaged(self, tmp_path, keys):
        fill(DiskStore(tmp_path), keys)
        [path] = files_of(DiskStore(tmp_path))
        content = path.read_bytes()
        row = 4 * WIDTH
        swapped = content[: -2 * row] + content[-row:] + content[-2 * row : -row]
        path.write_bytes(swapped)
        with pytest.warns(CacheWarning, match="vectors in it are damaged"):
            assert not look(DiskStore(tmp_path), keys).any()

    def test_a_file_of_another_recipe_is_not_believed(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        others = keys_of(range(100), OTHER)
        store.put_many(others, 1 + vectors_of(others))
        [mine] = store.folder.glob(f"{FINGERPRINT[:32]}/*.vec")
        [other] = store.folder.glob(f"{OTHER[:32]}/*.vec")
        other.replace(mine)
        with pytest.warns(CacheWarning, match="of another folder"):
            assert not look(DiskStore(tmp_path), keys).any()

    @pytest.mark.parametrize("share", [1, 50])
    def test_a_file_that_is_cut_while_it_is_read(
        self, tmp_path, keys, monkeypatch, share
    ):
        store = DiskStore(tmp_path)
        fill(store, keys)
        [path] = files_of(store)
        assert look(store, keys[:1]).all()
        read = Segment._read_block

        def cut_and_read(segment, file, positions):
            os.truncate(path, 1700)
            return read(segment, file, positions)

        monkeypatch.setattr(Segment, "_read_block", cut_and_read)
        with pytest.warns(CacheWarning, match="changed after it was opened"):
            assert not look(store, keys[::share]).any()

    def test_what_is_no_file_is_left_alone(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        home = files_of(store)[0].parent
        (home / "folder.vec").mkdir()
        if hasattr(os, "mkfifo"):
            os.mkfifo(home / "pipe.vec")  # whoever opens it waits for good
        assert look(DiskStore(tmp_path), keys).all()

    def test_a_file_of_another_version_is_not_believed(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        [path] = files_of(store)
        path.write_bytes(b"sktvec99" + path.read_bytes()[8:])
        with pytest.raises(SegmentError, match="of this version"):
            Segment(path)
        with pytest.warns(CacheWarning, match="damaged"):
            assert not look(DiskStore(tmp_path), keys).any()

    def test_a_full_disk_is_a_warning(self, tmp_path, keys, monkeypatch):
        def fail(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk, "write_segment", fail)
        store = DiskStore(tmp_path)
        with pytest.warns(CacheWarning, match=r"No space left.*only slower"):
            fill(store, keys)
        assert not look(store, keys).any()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
    def test_a_write_that_fails_half_way_leaves_nothing(
        self, tmp_path, keys, monkeypatch
    ):
        import contextlib

        from sktransfer.encoders.cache import segments

        @contextlib.contextmanager
        def full(path):
            yield Path("/dev/full")

        monkeypatch.setattr(segments, "write_file_beside", full)
        store = DiskStore(tmp_path)
        with pytest.warns(CacheWarning, match="No space left"):
            fill(store, keys)
        assert files_of(store) == []

    def test_a_folder_that_cannot_be_made_is_a_warning(self, tmp_path, keys):
        (tmp_path / "file").touch()
        store = DiskStore(tmp_path / "file" / "cache")
        computed = []

        def compute(indices):
            computed.extend(indices)
            yield indices, vectors_of([keys[index] for index in indices])

        with pytest.warns(CacheWarning, match="cannot be written to"):
            result = look_up(store, keys, WIDTH, compute)
        np.testing.assert_array_equal(result, vectors_of(keys))
        assert sorted(computed) == list(range(100))

    def test_a_read_only_folder_still_answers(self, tmp_path, keys, monkeypatch):
        fill(DiskStore(tmp_path), keys)

        def refuse(*args, **kwargs):
            raise PermissionError("read-only file system")

        for name in ("utime", "mkdir"):
            monkeypatch.setattr(os, name, refuse)
        assert look(DiskStore(tmp_path), keys).all()

    @pytest.mark.slow
    def test_a_killed_writer_leaves_whole_files_only(self, tmp_path):
        code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_disk import *
store = DiskStore(Path({str(tmp_path)!r}))
for number in range(10_000):
    fill(store, keys_of(range(number * 50, number * 50 + 50)))
    print(number, flush=True)
"""
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", code], stdout=subprocess.PIPE
            )
            process.stdout.readline()
            time.sleep(0.15)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        store = DiskStore(tmp_path)
        found = look(store, keys_of(range(50 * 10_000)[:20_000]))
        assert found[:50].all()

    def test_a_file_removed_by_another_process_is_missing(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys[:50])
        fill(store, keys[50:])
        assert look(store, keys).all()
        files_of(store)[0].unlink()
        assert look(store, keys).sum() == 50

    def test_two_writers_do_not_meet(self, tmp_path, monkeypatch):
        monkeypatch.setattr(disk, "_MANY", 3)
        stores = [DiskStore(tmp_path) for _ in range(4)]

        def work(number):
            for part in range(8):
                keys = keys_of(range(part * 30, part * 30 + 40))
                fill(stores[number], keys)
                look(stores[number], keys)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert look(DiskStore(tmp_path), keys_of(range(250))).all()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_store_goes_on_after_a_fork(self, tmp_path, keys):
        from sktransfer.encoders.cache.disk import disk_store

        store = disk_store(tmp_path)
        fill(store, keys[:50])
        locks = [store.disk._lock, store._memory._lock]
        for lock in locks:
            lock.acquire()
        child = os.fork()
        if child == 0:
            # The thread that held the lock is not there; pytest must not go on here.
            ok = look(store, keys[:50]).all()
            fill(store, keys[50:])
            os._exit(0 if ok else 1)
        for lock in locks:
            lock.release()
        assert os.waitpid(child, 0)[1] == 0
        assert look(store, keys).all()


class TestLocks:
    @pytest.mark.parametrize("n", [1, 64, 65, 5000])
    def test_each_position_comes_once(self, tmp_path, n):
        parts = list(lock_keys(tmp_path, keys_of(range(n))))
        assert sorted(itertools.chain(*parts)) == list(range(n))
        assert max(map(len, parts)) <= 1024

    def test_what_another_holds_comes_last(self, tmp_path):
        keys = keys_of(range(400))
        first = lock_keys(tmp_path, keys)
        held = next(first)
        second = lock_keys(tmp_path, keys)
        free = [next(second) for _ in range(3)]
        assert not set(held) & set(itertools.chain(*free))
        first.close()
        assert sorted(next(second)) == sorted(held)

    def test_patience_ends(self, tmp_path, monkeypatch):
        monkeypatch.setattr(disk, "_PATIENCE", 0.05)
        holder = lock_keys(tmp_path, keys_of(range(10)))
        next(holder)
        assert len(next(lock_keys(tmp_path, keys_of(range(10))))) == 10

    def test_stores_that_share_a_folder_compute_each_text_once(self, tmp_path):
        keys = keys_of(range(3000))
        computed, counting = [], threading.Lock()

        def work(store):
            def compute(indices):
                with counting:
                    computed.extend(indices)
                time.sleep(0.02)
                yield indices, vectors_of([keys[index] for index in indices])

            return look_up(store, keys, WIDTH, compute)

        with ThreadPoolExecutor(2) as pool:
            for result in pool.map(work, [DiskStore(tmp_path), DiskStore(tmp_path)]):
                np.testing.assert_array_equal(result, vectors_of(keys))
        assert sorted(computed) == list(range(3000))


class TestLeftovers:
    def test_those_of_killed_processes_are_removed(self, tmp_path, keys):
        store = DiskStore(tmp_path)
        fill(store, keys)
        left = files_of(store)[0].with_name(f".{'0' * 32}.vec.abcdefgh")
        left.touch()
        look(DiskStore(tmp_path), keys)
        assert left.exists()  # it may not be claimed yet
        os.utime(left, (0, 0))
        with left.open("r+b") as file:
            assert claim(file)
            look(DiskStore(tmp_path), keys)
            assert left.exists()
        look(DiskStore(tmp_path), keys)
        assert not left.exists()

    def test_files_are_claimed_until_they_have_their_name(
        self, tmp_path, keys, monkeypatch
    ):
        replace = Path.replace

        def look_and_replace(path, target):
            with path.open("rb") as file:
                assert not claim(file)
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", look_and_replace)
        store = DiskStore(tmp_path)
        fill(store, keys)
        assert look(store, keys).all()

    def test_what_an_earlier_layout_has_left_goes_first(self, tmp_path, keys):
        earlier = tmp_path / "sktransfer-vectors-1" / FINGERPRINT[:32] / "a.vec"
        earlier.parent.mkdir(parents=True)
        earlier.write_bytes(bytes(20_000))
        os.utime(earlier, (0, 0))
        store = DiskStore(tmp_path, max_bytes=25_000)
        fill(store, keys)
        assert earlier.exists()
        fill(store, keys_of(range(100, 200)))
        assert not earlier.exists()
        assert look(store, keys).all()


ENCODE = """
import json, sys
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.encoding import n_texts_encoded
featurizer = BertFeaturizer(
    sys.argv[1], cache=sys.argv[2], device="cpu", dtype="float32"
)
vectors = featurizer.fit_transform([f"good film {number}" for number in range(200)])
print(json.dumps([n_texts_encoded(), float(vectors.sum())]))
"""


@pytest.mark.slow
def test_processes_encode_each_text_once(tiny_bert, tmp_path):
    def start():
        command = [sys.executable, "-c", ENCODE, tiny_bert, str(tmp_path)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    both = [start(), start()]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert sum(n for n, _ in answers) == 200
    assert answers[0][1] == pytest.approx(answers[1][1])
    later = json.loads(start().communicate(timeout=120)[0])
    assert later[0] == 0


def cut_of(store, keys):
    """Which keys are told to be of texts that lost tokens."""
    cut = np.zeros(len(keys), dtype=bool)
    store.get_many(keys, np.empty((len(keys), WIDTH), np.float32), cut=cut)
    return cut


class TestCut:
    """Which texts lost tokens is kept beside the vectors, for those who read them."""

    @pytest.fixture
    def cut(self, keys):
        return np.arange(len(keys)) % 3 == 0

    def test_another_store_is_told(self, tmp_path, keys, cut):
        DiskStore(tmp_path).put_many(keys, vectors_of(keys), cut)
        store = DiskStore(tmp_path)
        np.testing.assert_array_equal(cut_of(store, keys[::-1]), cut[::-1])
        assert look(store, keys).all()
        assert store.cache_info().n_vectors == len(keys)

    def test_it_is_told_of_what_comes_later_and_of_merged_files(
        self, tmp_path, keys, cut, monkeypatch
    ):
        monkeypatch.setattr(disk, "_MANY", 5)
        store, other = DiskStore(tmp_path), DiskStore(tmp_path)
        for start in range(0, 100, 10):
            some = slice(start, start + 10)
            store.put_many(keys[some], vectors_of(keys[some]), cut[some])
            np.testing.assert_array_equal(cut_of(other, keys[some]), cut[some])
        np.testing.assert_array_equal(cut_of(store, keys), cut)
        assert len(files_of(store)) <= 12

    def test_it_is_not_told_of_what_is_not_there(self, tmp_path, keys, cut):
        store = DiskStore(tmp_path)
        store.put_many(keys, vectors_of(keys), cut)
        for path in files_of(store):
            if not path.parent.name.endswith("-cut"):
                path.unlink()
        assert not cut_of(DiskStore(tmp_path), keys).any()

    def test_a_damaged_file_of_it_costs_no_vector(self, tmp_path, keys, cut):
        store = DiskStore(tmp_path)
        store.put_many(keys, vectors_of(keys), cut)
        (path,) = (p for p in files_of(store) if p.parent.name.endswith("-cut"))
        path.write_bytes(b"x" * 99)
        again = DiskStore(tmp_path)
        with pytest.warns(CacheWarning, match="that its texts were cut is not told"):
            assert look(again, keys).all()
        assert not cut_of(again, keys).any()

    def test_what_is_cleared_is_told_no_more(self, tmp_path, keys, cut):
        store = DiskStore(tmp_path)
        store.put_many(keys, vectors_of(keys), cut)
        store.clear()
        fill(store, keys)
        assert not cut_of(store, keys).any()
