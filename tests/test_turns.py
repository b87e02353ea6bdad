"""Writers find each other, and what those left who are gone."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time

import pytest

from sktransfer import turns
from sktransfer.turns import hidden_name, put_back, remove_leftovers, take_turn

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there are no such locks"
)


@pytest.fixture
def path(tmp_path):
    """A destination that is not there yet."""
    return tmp_path / "model"


def names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def leave_behind(path, end, *, folder=False):
    """What a writer leaves who was killed; returns it."""
    hidden_name(path, "lock").touch()
    left = hidden_name(path, end)
    if folder:
        left.mkdir()
        (left / "file").write_text("old")
    else:
        left.touch()
    return left


class TestTurns:
    @pytest.mark.parametrize("alone", [True, False])
    def test_the_lock_is_there_only_meanwhile(self, path, alone):
        with take_turn(path, alone=alone):
            assert names(path) == [".model.sktransfer-lock"]
        assert names(path) == []

    def test_one_waits_for_the_other(self, path):
        order = []

        def come():
            with take_turn(path, alone=True):
                order.append("second")

        thread = threading.Thread(target=come)
        with take_turn(path, alone=True):
            thread.start()
            thread.join(0.1)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]
        assert names(path) == []

    def test_in_the_end_it_is_an_error(self, path):
        with (
            take_turn(path, alone=True),
            pytest.raises(TimeoutError, match="another process has been writing") as e,
            take_turn(path, alone=True, patience=0.01),
        ):
            pass
        assert e.value.errno == errno.ETIMEDOUT
        assert e.value.filename == str(path)

    def test_those_who_need_not_be_alone_do_not_wait(self, path):
        with take_turn(path, alone=False), take_turn(path, alone=False):
            pass
        assert names(path) == []

    def test_many_at_once_are_alone_and_leave_nothing(self, path):
        inside, most = [], []

        def come():
            for _ in range(20):
                with take_turn(path, alone=True):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        threads = [threading.Thread(target=come) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1] * 80
        assert names(path) == []

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
    def test_without_locks_all_write_and_nothing_is_removed(
        self, path, monkeypatch, number
    ):
        def refuse(handle, kind):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(turns.fcntl, "flock", refuse)
        leave_behind(path, "12345678")
        with take_turn(path, alone=True), take_turn(path, alone=True):
            pass
        assert ".model.sktransfer-12345678" in names(path)

    @pytest.mark.parametrize("kind", ["link", "pipe", "folder", "filled"])
    def test_what_is_no_lock_is_let_alone(self, path, tmp_path, kind):
        lock = hidden_name(path, "lock")
        if kind == "link":
            (tmp_path / "mine").write_text("mine")
            lock.symlink_to("mine")
        elif kind == "pipe":
            os.mkfifo(lock)
        elif kind == "folder":
            lock.mkdir()
        else:
            lock.write_text("mine")
        with take_turn(path, alone=True):
            pass
        assert os.path.lexists(lock)
        if kind in ("link", "filled"):
            assert lock.read_text() == "mine"


class TestLeftovers:
    @pytest.mark.parametrize("alone", [True, False])
    def test_the_next_writer_removes_them(self, path, alone):
        leave_behind(path, "12345678")
        leave_behind(path, "9abcdef0", folder=True).chmod(0o500)
        with take_turn(path, alone=alone):
            pass
        assert names(path) == []

    @pytest.mark.parametrize("alone", [True, False])
    def test_those_of_a_living_writer_stay(self, path, alone):
        left = hidden_name(path, "12345678")
        with take_turn(path, alone=alone):
            left.touch()
            if not alone:
                with take_turn(path, alone=False):
                    pass
            remove_leftovers(path.parent)
            assert left.exists()

    @pytest.mark.parametrize(
        "name",
        [
            ".model.12345678",
            ".model.sktransfer-1234567",
            ".model.sktransfer-12345678.bak",
            ".model.sktransfer-1234567g",
            ".other.sktransfer-12345678",
            "model.sktransfer-12345678",
        ],
    )
    def test_other_names_are_let_alone(self, path, name):
        leave_behind(path, "12345678")
        path.with_name(name).write_text("mine")
        with take_turn(path, alone=True):
            pass
        assert names(path) == [name]

    def test_what_was_moved_away_is_put_back_by_the_next_writer(self, path):
        leave_behind(path, "12345678.old", folder=True)
        with take_turn(path, alone=True):
            assert (path / "file").read_text() == "old"
        assert names(path) == ["model"]

    @pytest.mark.parametrize("end", ["sktransfer-12345678.old", "1234abcd.old"])
    def test_or_at_once(self, path, end):
        left = path.with_name(f".model.{end}")
        left.mkdir()
        put_back(path)
        assert names(path) == ["model"]

    def test_a_backup_of_somebodys_is_not_put_back_to_be_replaced(self, path):
        backup = path.with_name(".model.20240101.old")
        backup.mkdir()
        with take_turn(path, alone=True):
            assert not path.exists()
        assert backup.is_dir()

    def test_the_last_one_is_put_back(self, path):
        for number in range(3):
            left = leave_behind(path, f"{2 - number:08}.old", folder=True)
            (left / "file").write_text(f"{number}")
            left.chmod(0o755)
            time.sleep(0.02)  # more than a tick of the clock
        with take_turn(path, alone=True):
            pass
        assert (path / "file").read_text() == "2"
        assert names(path) == ["model"]

    def test_what_is_there_is_not_replaced_by_what_was(self, path):
        leave_behind(path, "12345678.old", folder=True)
        path.mkdir()
        put_back(path)
        assert list(path.iterdir()) == []

    def test_one_who_is_at_it_is_waited_for(self, path, monkeypatch):
        with take_turn(path, alone=True):
            hidden_name(path, "12345678.old").mkdir()
            thread = threading.Thread(target=put_back, args=(path,))
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
            path.mkdir()
            (path / "new").touch()
        thread.join()
        assert (path / "new").exists()

    def test_where_nothing_may_be_renamed_nothing_is(self, path, monkeypatch):
        def refuse(source, target):
            raise PermissionError

        left = leave_behind(path, "12345678.old", folder=True)
        monkeypatch.setattr(type(path), "rename", refuse)
        put_back(path)
        with take_turn(path, alone=True):
            pass
        assert left.is_dir()

    def test_a_whole_folder_is_cleared(self, path):
        for name in ("a.vec", "b.vec"):
            leave_behind(path.with_name(name), "12345678")
        path.with_name("a.vec").touch()
        remove_leftovers(path.parent)
        assert names(path) == ["a.vec"]
