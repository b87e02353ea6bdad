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
        names = iter(["taken", "taken", "free"])
        monkeypatch.setattr(storage.secrets, "token_hex", lambda n: next(names))
        with write_beside(tmp_path / "result") as first:
            fill(first, "old")
            with write_beside(tmp_path / "result") as second:
                assert second != first
                fill(second, "new")


class TestFolders:
    def test_missing_parents_are_made(self, tmp_path):
        path = tmp_path / "a" / "b"
        with storage.write_folder_beside(path) as beside:
            fill(beside, "new")
        assert content_of(path) == "new"

    def test_the_old_one_comes_back_if_the_last_step_fails(self, tmp_path, monkeypatch):
        path = tmp_path / "result"
        with storage.write_folder_beside(path) as beside:
            fill(beside, "old")
        rename = type(path).rename

        def rename_but_fail_once(source, target):
            if source.name.startswith(".") and not source.name.endswith(".old"):
                raise OSError("the disk is gone")
            return rename(source, target)

        monkeypatch.setattr(type(path), "rename", rename_but_fail_once)

        def replace():
            with storage.write_folder_beside(path) as beside:
                fill(beside, "new")

        with pytest.raises(OSError, match="the disk is gone"):
            replace()
        assert content_of(path) == "old"
        assert list(tmp_path.iterdir()) == [path]


class TestDigest:
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
        storage.digest_file(path)
        monkeypatch.setattr(hashlib, "file_digest", None)
        storage.digest_file(path)

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
        storage._digest_file.cache_clear()

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
