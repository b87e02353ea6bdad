"""What is gone on with is what was written, or nothing is."""

import errno
import gc
import json
import os
import random
from pathlib import Path

import pytest
import typer
from filelock import FileLock

from sktransfer.cli.tables import growing_file
from sktransfer.cli.tables.growing_file import GrowingFile
from sktransfer.exceptions import InvalidInputError

FACTS = {"input": "abc"}
LINES = [b"one\n", b"two\n", b"three\n", b"four\n"]


def fine():
    pass


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def make(path, n_lines=None, *, fresh=False, facts=FACTS, check=fine, convert=None):
    """Write all lines, or so many of them and no end."""
    with GrowingFile(path, facts, fresh=fresh) as growing:
        if growing.is_done:
            return growing
        for line in LINES[growing.n_rows : n_lines]:
            growing.append(line, 1)
        if n_lines is None:
            growing.finish(check, convert)
    return growing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.csv"


@pytest.fixture
def stopped(path):
    """A part of two lines."""
    make(path, 2)
    assert names(path.parent) == ["out.csv.part", "out.csv.state"]
    return path


def beside(path):
    return GrowingFile.names(path)


class TestGoingOn:
    def test_the_rest_is_added(self, stopped):
        assert make(stopped).n_rows == 4
        assert stopped.read_bytes() == b"".join(LINES)
        assert names(stopped.parent) == ["out.csv"]

    def test_what_is_behind_the_state_was_torn(self, stopped):
        part, _, _ = beside(stopped)
        part.write_bytes(part.read_bytes() + b"thr")
        make(stopped)
        assert stopped.read_bytes() == b"".join(LINES)

    def test_other_facts_are_refused(self, stopped):
        with pytest.raises(InvalidInputError, match="another input: say --fresh"):
            make(stopped, facts={"input": "other"})
        make(stopped, facts={"input": "other"}, fresh=True)
        assert stopped.read_bytes() == b"".join(LINES)


class TestDamage:
    @pytest.mark.parametrize("seed", range(40))
    def test_of_the_state_is_refused_or_makes_no_difference(self, stopped, seed):
        drawn = random.Random(seed)
        state = beside(stopped)[1]
        content = bytearray(state.read_bytes())
        content[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        state.write_bytes(content)
        try:
            make(stopped)
        except InvalidInputError:
            assert state.read_bytes() == content
        else:
            assert stopped.read_bytes() == b"".join(LINES)

    @pytest.mark.parametrize("name", ["n_rows", "n_bytes", "digest", "whole"])
    def test_of_each_fact_is_seen(self, stopped, name):
        state = beside(stopped)[1]
        facts = json.loads(state.read_text())
        facts[name] = 1 if facts[name] != 1 else 0
        state.write_text(json.dumps(facts))
        with pytest.raises(InvalidInputError, match="state was changed or damaged"):
            make(stopped)
        make(stopped, fresh=True)
        assert stopped.read_bytes() == b"".join(LINES)

    @pytest.mark.parametrize("content", [b"one\ntWo\n", b"two\none\n"])
    def test_of_the_part_is_seen(self, stopped, content):
        part = beside(stopped)[0]
        part.write_bytes(content)
        with pytest.raises(InvalidInputError, match="part was changed or damaged"):
            make(stopped)
        assert part.read_bytes() == content
        make(stopped, fresh=True)
        assert stopped.read_bytes() == b"".join(LINES)

    def test_a_state_without_a_digest_is_of_an_earlier_version(self, stopped):
        state = beside(stopped)[1]
        facts = json.loads(state.read_text())
        old = {name: facts[name] for name in ("made_of", "n_rows", "n_bytes")}
        state.write_text(json.dumps(old | {"format": 1}))
        with pytest.raises(InvalidInputError, match=r"earlier version.*--fresh"):
            make(stopped)
        make(stopped, fresh=True)
        assert stopped.read_bytes() == b"".join(LINES)


class TestKills:
    """Wherever a run is killed, the next one ends as if nothing had been."""

    STEPS = ("link", "unlink", "replace", "fsync")

    @pytest.mark.parametrize("with_links", [True, False])
    @pytest.mark.parametrize("converts", [True, False])
    def test_at_each_step_of_the_end(self, tmp_path, monkeypatch, converts, with_links):
        def convert(part, whole):
            whole.write_bytes(part.read_bytes().upper())

        options = {"convert": convert if converts else None}
        expected = b"".join(LINES).upper() if converts else b"".join(LINES)
        if not with_links:

            def link(*arguments):
                raise OSError(errno.EPERM, "no links here")

            monkeypatch.setattr(os, "link", link)
        number, was_killed = 0, True
        while was_killed:
            path = tmp_path / f"{number}" / "out.csv"
            path.parent.mkdir()
            make(path, 2)
            was_killed = self.run_until(number, monkeypatch, path, options)
            make(path, **options)
            assert path.read_bytes() == expected
            assert names(path.parent) == ["out.csv"]
            number += 1
        assert number > 8

    def run_until(self, number, monkeypatch, path, options):
        """Die before a call to the system as of a kill, if there are so many."""
        count = 0

        class Killed(BaseException):
            pass

        def dying(call):
            def call_or_die(*arguments, **more):
                nonlocal count
                count += 1
                if count > number:
                    raise Killed
                return call(*arguments, **more)

            return call_or_die

        with monkeypatch.context() as patch:
            for name in ("link", "unlink", "rename", "replace", "fsync", "open"):
                patch.setattr(os, name, dying(getattr(os, name)))
            try:
                make(path, **options)
            except Killed:
                was_killed = True
            else:
                was_killed = False
        gc.collect(1)  # the lock of one who died, too
        return was_killed

    def test_a_lock_of_a_dead_one_holds_nothing(self, stopped):
        beside(stopped)[2].touch()
        make(stopped)
        assert names(stopped.parent) == ["out.csv"]

    def test_torn_states_are_removed(self, stopped):
        torn = ".out.csv.state.sktransfer-0123abcd"
        others = [torn.replace("out", "other"), torn.replace("0123abcd", "mine")]
        for name in (torn, *others):
            (stopped.parent / name).write_text("{")
        make(stopped)
        left = sorted([*others, "out.csv"])
        assert names(stopped.parent) == left


class TestTwo:
    def test_the_second_one_is_refused(self, path):
        with (
            GrowingFile(path, FACTS),
            pytest.raises(InvalidInputError, match="written by another process"),
        ):
            make(path)

    def test_a_lock_is_removed_before_it_is_free(self, path, monkeypatch):
        lock, release = beside(path)[2], FileLock.release
        seen = []

        def look(self, *arguments, **options):
            seen.append(lock.exists())
            return release(self, *arguments, **options)

        monkeypatch.setattr(FileLock, "release", look)
        make(path)
        assert seen[0] is False

    def test_what_has_come_meanwhile_stays(self, path):
        def check():
            if path.exists():
                raise typer.BadParameter("exists")

        def come():
            check()
            path.write_bytes(b"mine")

        calls = iter([fine, come, check])
        with pytest.raises(typer.BadParameter, match="exists"):
            make(path, check=lambda: next(calls)())
        assert path.read_bytes() == b"mine"


class TestFullDisk:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is Linux's")
    def test_the_file_is_named_and_the_rest_goes_on(self, stopped):
        with GrowingFile(stopped, FACTS) as growing:
            file = growing._file
            with Path("/dev/full").open("ab", buffering=0) as full:
                growing._file = full
                with pytest.raises(OSError, match=r"room: .*out\.csv\.part") as caught:
                    growing.append(LINES[2], 1)
            growing._file = file
        assert caught.value.errno == errno.ENOSPC
        make(stopped)
        assert stopped.read_bytes() == b"".join(LINES)

    @pytest.mark.parametrize("n_before", range(6))
    def test_no_step_loses_anything(self, stopped, monkeypatch, n_before):
        count, write_state = 0, GrowingFile._write_state

        def fail(self):
            nonlocal count
            count += 1
            if count > n_before:
                raise OSError(errno.ENOSPC, "No space left on device")
            write_state(self)

        monkeypatch.setattr(growing_file, "_SECONDS", 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(GrowingFile, "_write_state", fail)
            if n_before < 4:
                with pytest.raises(OSError, match="once there is room"):
                    make(stopped)
            else:
                make(stopped)
        if n_before < 4:
            make(stopped)
        assert stopped.read_bytes() == b"".join(LINES)
        assert names(stopped.parent) == ["out.csv"]
