"""Files and folders are whole or not there, whatever happens in between."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading

import filelock
import platformdirs
import pytest

from sktransfer import storage

WRITERS = [storage.write_file_beside, storage.write_folder_beside]


def fill(beside, content):
    """Write to what a writer yields, be it a file or a folder."""
    path = beside / "part" / "file" if beside.is_dir() else beside
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)


def hide(beside):
    """Take what is written from everybody but its owner."""
    for entry in [*beside.rglob("*"), *([] if beside.is_dir() else [beside])]:
        entry.chmod(0o700 if entry.is_dir() else 0o600)


def content_of(path):
    return (path / "part" / "file" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("write_beside", WRITERS)
class TestWriteBeside:
    def test_the_result_appears_at_the_end_and_nothing_else_stays(
        self, tmp_path, write_beside
    ):
        path = tmp_path / "result"
        with write_beside(path) as beside:
            fill(beside, "new")
            assert not path.exists()
            assert beside.parent == tmp_path
        assert content_of(path) == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_the_old_one_is_replaced_whole(self, tmp_path, write_beside):
        path = tmp_path / "result"
        for content in ("old", "new"):
            with write_beside(path) as beside:
                fill(beside, content)
        assert content_of(path) == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_an_error_leaves_the_old_one(self, tmp_path, write_beside):
        path = tmp_path / "result"
        with write_beside(path) as beside:
            fill(beside, "old")

        def fail():
            with write_beside(path) as beside:
                fill(beside, "half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert content_of(path) == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
    @pytest.mark.parametrize("umask", [0o002, 0o022, 0o027, 0o077])
    def test_others_may_read_it_as_the_umask_says(self, tmp_path, write_beside, umask):
        path = tmp_path / "result"
        before = os.umask(umask)
        try:
            with write_beside(path) as beside:
                fill(beside, "new")
                # As libraries leave a file that they make beside its name themselves.
                hide(beside)
        finally:
            os.umask(before)
        expected = {True: 0o777 & ~umask, False: 0o666 & ~umask}
        for entry in (path, *path.rglob("*")):
            assert entry.stat().st_mode & 0o777 == expected[entry.is_dir()]

    def test_the_umask_of_other_threads_is_let_alone(
        self, tmp_path, monkeypatch, write_beside
    ):
        monkeypatch.setattr(os, "umask", None)
        with write_beside(tmp_path / "result") as beside:
            fill(beside, "new")

    def test_a_name_that_is_taken_is_not_used(
        self, tmp_path, monkeypatch, write_beside
    ):
        names = iter(["taken", "free"])
        monkeypatch.setattr(storage.secrets, "token_hex", lambda n: next(names))
        (tmp_path / ".result.sktransfer-taken").write_text("mine")
        with write_beside(tmp_path / "result") as beside:
            assert beside.name == ".result.sktransfer-free"
            fill(beside, "new")
        assert (tmp_path / ".result.sktransfer-taken").read_text() == "mine"

    def test_what_a_killed_writer_left_is_removed_by_the_next(
        self, tmp_path, write_beside
    ):
        path = tmp_path / "result"
        code = (
            "import os, pathlib, signal, sys\n"
            "from sktransfer import storage\n"
            f"with storage.{write_beside.__name__}(pathlib.Path(sys.argv[1])):\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", code, str(path)])
        assert len(list(tmp_path.iterdir())) == 2  # a temporary one, and a lock
        with write_beside(path) as beside:
            fill(beside, "new")
        assert list(tmp_path.iterdir()) == [path]


class TestFolders:
    def test_missing_parents_are_made(self, tmp_path):
        path = tmp_path / "a" / "b"
        with storage.write_folder_beside(path) as beside:
            fill(beside, "new")
        assert content_of(path) == "new"

    @pytest.fixture
    def path(self, tmp_path):
        """A folder that is there already."""
        path = tmp_path / "result"
        with storage.write_folder_beside(path) as beside:
            fill(beside, "old")
        return path

    @pytest.fixture(params=["exchange", "two renames"])
    def way(self, request, monkeypatch):
        """How one folder takes the place of another."""
        if request.param == "two renames":
            monkeypatch.setattr(storage, "exchange", lambda first, second: False)

    @staticmethod
    def replace(path, **named):
        with storage.write_folder_beside(path, **named) as beside:
            fill(beside, "new")

    @pytest.mark.usefixtures("way")
    def test_an_old_one_is_replaced_either_way(self, path):
        self.replace(path)
        assert content_of(path) == "new"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.usefixtures("way")
    def test_the_old_one_comes_back_if_the_last_step_fails(self, path, monkeypatch):
        flush = storage._flush

        def fail(place):
            if place == path.parent:
                raise OSError("the disk is gone")
            flush(place)

        monkeypatch.setattr(storage, "_flush", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            self.replace(path)
        assert content_of(path) == "old"
        assert list(path.parent.iterdir()) == [path]

    def test_the_old_one_comes_back_if_the_second_rename_fails(self, path, monkeypatch):
        rename = type(path).rename

        def fail(source, target):
            if not source.name.endswith(".old") and target == path:
                raise OSError("the disk is gone")
            return rename(source, target)

        monkeypatch.setattr(storage, "exchange", lambda first, second: False)
        monkeypatch.setattr(type(path), "rename", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            self.replace(path)
        assert content_of(path) == "old"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.usefixtures("way")
    def test_what_came_into_the_old_one_meanwhile_is_not_lost(self, path):
        def check(old):
            assert old != path
            if (old / "mine").exists():
                raise ValueError("it holds mine")

        def replace():
            with storage.write_folder_beside(path, check=check) as beside:
                fill(beside, "new")
                (path / "mine").write_text("kept")

        with pytest.raises(ValueError, match="it holds mine"):
            replace()
        assert content_of(path) == "old"
        assert (path / "mine").read_text() == "kept"
        assert list(path.parent.iterdir()) == [path]

    def test_it_is_there_at_every_moment(self, path):
        missing, ends = [], threading.Event()

        def look():
            while not ends.is_set():
                if not path.exists():
                    missing.append(1)

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(20):
            self.replace(path)
        ends.set()
        thread.join()
        assert missing == []

    @pytest.mark.parametrize("end", ["", "/"])
    def test_a_link_stays_and_what_it_points_to_is_replaced(self, path, end):
        link = path.with_name("link")
        link.symlink_to(path.name + end)
        self.replace(link)
        assert link.is_symlink()
        assert content_of(path) == "new"
        assert sorted(path.parent.iterdir()) == [link, path]

    def test_a_file_is_not_replaced_by_a_folder(self, tmp_path):
        (tmp_path / "result").write_text("mine")
        with pytest.raises(NotADirectoryError, match="in the way of a folder"):
            self.replace(tmp_path / "result")
        assert (tmp_path / "result").read_text() == "mine"

    def test_a_folder_that_was_made_read_only_is_replaced_whole(self, path):
        for folder in (path / "part", path):
            folder.chmod(0o555)
        self.replace(path)
        assert content_of(path) == "new"
        assert list(path.parent.iterdir()) == [path]

    def test_another_users_folder_is_let_alone(self, path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        monkeypatch.setattr(os, "access", lambda place, mode: False)
        with pytest.raises(PermissionError, match="belongs to another user"):
            self.replace(path)
        assert content_of(path) == "old"
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("n", [1, 200, 250])
    def test_names_may_be_as_long_as_the_system_allows(self, tmp_path, n):
        path = tmp_path / ("a" * n)
        for _ in range(2):
            self.replace(path)
        with storage.write_file_beside(tmp_path / ("b" * n)) as beside:
            fill(beside, "new")
        assert {entry.name for entry in tmp_path.iterdir()} == {"a" * n, "b" * n}


class TestDigest:
    @pytest.fixture(autouse=True)
    def nothing_known(self):
        """A process that has read nothing yet."""
        self.forget()

    def test_it_is_the_sha256_of_the_content(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        assert storage.digest_file(path) == hashlib.sha256(b"content").hexdigest()

    def test_a_changed_file_is_read_again(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        before = storage.digest_file(path)
        path.write_bytes(b"another")
        os.utime(path, ns=(1, 1))
        assert storage.digest_file(path) != before

    def test_an_unchanged_file_is_not(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        monkeypatch.setattr(storage, "_SETTLED", -1.0)
        storage.digest_file(path)
        monkeypatch.setattr(hashlib, "file_digest", None)
        storage.digest_file(path)

    def test_a_file_changed_within_a_tick_of_the_clock_is_read_again(
        self, tmp_path, monkeypatch
    ):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        # As where the clock ticks slowly: no change of the times is to be seen.
        monkeypatch.setattr(storage, "_facts", lambda state: (state.st_ino,))
        before = storage.digest_file(path)
        path.write_bytes(b"another")
        assert storage.digest_file(path) != before

    def test_a_file_that_changes_while_it_is_read_is_not_remembered(
        self, large, monkeypatch
    ):
        digest = hashlib.file_digest

        def change(file, name):
            found = digest(file, name)
            large.write_bytes(b"another and longer")
            return found

        monkeypatch.setattr(hashlib, "file_digest", change)
        storage.digest_file(large)
        assert storage._KNOWN == {}

    def test_no_more_than_some_digests_are_remembered(self, tmp_path, monkeypatch):
        monkeypatch.setattr(storage, "_SETTLED", -1.0)
        monkeypatch.setattr(storage, "_MOST_KNOWN", 3)
        for number in range(5):
            (tmp_path / str(number)).touch()
            storage.digest_file(tmp_path / str(number))
        assert len(storage._KNOWN) == 3

    @pytest.mark.parametrize("parts", [[7], [3, 4], [3, 100]])
    def test_bytes_are_read_with_their_own_digest(self, large, monkeypatch, parts):
        with large.open("rb") as file:
            reader = storage.DigestedReader(large, file.fileno())
            content = b"".join(reader.read(n).tobytes() for n in parts)
            assert content == b"content"
            assert reader.digest() == hashlib.sha256(b"content").hexdigest()
        self.forget()
        monkeypatch.setattr(hashlib, "file_digest", None)
        assert storage.digest_file(large) == hashlib.sha256(content).hexdigest()

    @pytest.mark.parametrize("is_known", [False, True])
    def test_bytes_of_a_file_that_changes_are_not_taken_for_others(
        self, large, is_known
    ):
        if is_known:
            storage.digest_file(large)
        with large.open("rb") as file:
            reader = storage.DigestedReader(large, file.fileno())
            large.write_bytes(b"another")
            content = reader.read(7).tobytes()
            digest = reader.digest()
        own = hashlib.sha256(content).hexdigest()
        assert digest == ("" if is_known else own)
        assert storage.digest_file(large) == own

    @pytest.fixture
    def large(self, tmp_path, monkeypatch):
        """A file that is worth a note, and settled."""
        monkeypatch.setattr(storage, "_WORTH_A_NOTE", 1)
        monkeypatch.setattr(storage, "_SETTLED", -1.0)
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path / "cache"))
        path = tmp_path / "file"
        path.write_bytes(b"content")
        return path

    @staticmethod
    def forget():
        """As a new process has forgotten it."""
        storage._KNOWN.clear()

    def test_another_process_reads_a_large_file_no_more(self, large, monkeypatch):
        before = storage.digest_file(large)
        self.forget()
        monkeypatch.setattr(hashlib, "file_digest", None)
        assert storage.digest_file(large) == before

    def test_another_file_with_the_same_size_and_time_is_noticed(self, large):
        before, state = storage.digest_file(large), large.stat()
        self.forget()
        large.write_bytes(b"another")
        os.utime(large, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert large.stat().st_mtime_ns == state.st_mtime_ns
        assert storage.digest_file(large) != before

    def test_a_damaged_note_is_not_believed(self, large, tmp_path):
        before = storage.digest_file(large)
        [note] = (tmp_path / "cache" / "digests").iterdir()
        for content in (b"", b"\xff", b"0" * 64, note.read_bytes().swapcase()):
            self.forget()
            note.write_bytes(content)
            assert storage.digest_file(large) == before

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such owners")
    def test_notes_of_others_are_not_believed(self, large, tmp_path, monkeypatch):
        storage.digest_file(large)
        [note] = (tmp_path / "cache" / "digests").iterdir()
        forged = storage._seal(note, "0" * 64)
        note.write_text(forged)
        self.forget()
        assert storage.digest_file(large) == "0" * 64  # of this user's
        self.forget()
        monkeypatch.setattr(os, "geteuid", lambda: note.stat().st_uid + 1)
        assert storage.digest_file(large) != "0" * 64

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_notes_are_where_nobody_else_may_write(self, large, tmp_path):
        (tmp_path / "cache" / "digests").mkdir(parents=True)
        (tmp_path / "cache" / "digests").chmod(0o777)
        storage.digest_file(large)
        assert (tmp_path / "cache" / "digests").stat().st_mode & 0o777 == 0o700

    def test_a_file_changed_just_now_gets_no_note(self, large, tmp_path, monkeypatch):
        monkeypatch.setattr(storage, "_SETTLED", 3600.0)
        storage.digest_file(large)
        assert not (tmp_path / "cache").exists()

    def test_without_a_cache_folder_the_file_is_read(self, large, tmp_path):
        (tmp_path / "cache").touch()
        digest = storage.digest_file(large)
        assert digest == hashlib.sha256(b"content").hexdigest()


class TestJson:
    def test_round_trip(self, tmp_path):
        content = {"ä": [1, 2.5, None, True], "a": "很好"}
        storage.write_json(tmp_path / "file", content)
        assert storage.read_json(tmp_path / "file") == content

    def test_the_text_does_not_depend_on_the_order_of_keys(self, tmp_path):
        for name, content in {"a": {"x": 1, "y": 2}, "b": {"y": 2, "x": 1}}.items():
            storage.write_json(tmp_path / name, content)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_nan_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="not JSON compliant"):
            storage.write_json(tmp_path / "file", float("nan"))


class TestCacheFolder:
    def test_the_environment_variable_decides(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path))
        folder = storage.cache_folder("checkpoints", "one")
        assert folder == tmp_path / "checkpoints" / "one"
        assert folder.is_dir()

    def test_else_the_operating_system_does(self, tmp_path, monkeypatch):
        monkeypatch.delenv("SKTRANSFER_CACHE", raising=False)
        monkeypatch.setattr(
            platformdirs, "user_cache_dir", lambda name, appauthor: str(tmp_path / name)
        )
        assert storage.cache_folder() == tmp_path / "sktransfer"


class TestLock:
    def test_another_process_waits(self, tmp_path):
        path = tmp_path / "a" / "thing"
        code = (
            "import sys, pathlib\n"
            "from sktransfer.storage import locked\n"
            "with locked(pathlib.Path(sys.argv[1])): print('in')\n"
        )
        with storage.locked(path):
            child = subprocess.Popen(
                [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
            )
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(timeout=0.5)
        assert child.communicate(timeout=60)[0].strip() == b"in"

    def test_waiting_ends_at_the_timeout(self, tmp_path):
        outcome = []

        def try_lock():
            try:
                with storage.locked(tmp_path / "thing", timeout=0.01):
                    outcome.append("in")
            except filelock.Timeout:
                outcome.append("timeout")

        with storage.locked(tmp_path / "thing"):
            thread = threading.Thread(target=try_lock)
            thread.start()
            thread.join()
        assert outcome == ["timeout"]


class TestUnfinished:
    @pytest.fixture
    def unfinished(self, tmp_path):
        return storage.Unfinished(
            tmp_path / "a.part", tmp_path / "a.json", frozenset({"done"})
        )

    def test_notes_say_what_is_ours(self, unfinished):
        assert unfinished.read_notes() is None
        unfinished.write_notes(done=3)
        unfinished.part.write_bytes(b"half")
        assert unfinished.read_notes() == {"done": 3}
        assert unfinished.find_foreign() == []

    @pytest.mark.parametrize("content", ['{"mine": 1}', "[1]", "{"])
    def test_other_notes_and_a_part_without_any_are_foreign(self, unfinished, content):
        unfinished.part.write_bytes(b"mine")
        assert unfinished.find_foreign() == [unfinished.part]
        unfinished.notes.write_text(content)
        assert unfinished.read_notes() is None
        assert unfinished.find_foreign() == [unfinished.notes, unfinished.part]

    def test_empty_files_are_in_nobodys_way(self, unfinished):
        unfinished.part.touch()
        unfinished.notes.touch()
        assert unfinished.find_foreign() == []

    def test_a_folder_is_not_empty(self, unfinished):
        unfinished.part.mkdir()
        assert unfinished.find_foreign() == [unfinished.part]
