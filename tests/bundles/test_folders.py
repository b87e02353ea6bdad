from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from sktransfer import storage
from sktransfer.bundles import folders
from sktransfer.bundles.folders import manifest_digest, read_bundle, write_bundle
from sktransfer.bundles.opened_folder import OpenedFolder
from sktransfer.exceptions import ModelFolderError

VALUE = {"numbers": np.arange(5.0), "name": "first", "nested": [(1, None)]}


@pytest.fixture
def folder(tmp_path):
    """A folder with `VALUE` in it."""
    write_bundle(tmp_path / "model", VALUE, "# A card")
    return tmp_path / "model"


def forge(folder, name, content):
    """Change a file, and its digest with it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


class TestWriting:
    def test_the_value_comes_back(self, folder):
        again = read_bundle(folder)
        np.testing.assert_array_equal(again.pop("numbers"), VALUE["numbers"])
        assert again == {"name": "first", "nested": [(1, None)]}

    def test_the_manifest_has_the_digest_of_every_other_file(self, folder):
        listed = json.loads((folder / "manifest.json").read_text())["files"]
        on_disk = {path.name: path for path in folder.iterdir()}
        on_disk.pop("manifest.json")
        assert listed == {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in on_disk.items()
        }

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
    @pytest.mark.parametrize(
        ("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)]
    )
    def test_others_may_read_each_file_as_the_umask_says(self, tmp_path, umask, mode):
        before = os.umask(umask)
        try:
            write_bundle(
                tmp_path / "model", VALUE | {"part": np.random.RandomState(0)}, ""
            )
        finally:
            os.umask(before)
        modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.glob("model/*")}
        assert {"tensors.safetensors", "part-0.skops"} < set(modes)
        assert set(modes.values()) == {mode}

    def test_an_older_model_is_replaced_with_all_its_files(self, folder):
        write_bundle(folder, {"part": np.random.RandomState(0)}, "")
        assert (folder / "part-0.skops").exists()
        (folder / ".DS_Store").touch()
        before = manifest_digest(folder)
        write_bundle(folder, {"name": "second"}, "# Another")
        assert read_bundle(folder) == {"name": "second"}
        assert not (folder / "part-0.skops").exists()
        assert manifest_digest(folder) != before

    @pytest.mark.parametrize("name", ["notes.md", ".git/config"])
    def test_what_somebody_put_beside_an_older_model_is_not_lost(self, folder, name):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("kept")
        with pytest.raises(ModelFolderError, match=r"beside a saved model.*move it"):
            write_bundle(folder, {"name": "second"}, "")
        assert (folder / name).read_text() == "kept"
        assert read_bundle(folder)["name"] == "first"

    @pytest.mark.parametrize("manifest", ['{"short_name": "An app"}', "{", "[]"])
    def test_a_manifest_of_something_else_is_no_model(self, tmp_path, manifest):
        (tmp_path / "manifest.json").write_text(manifest)
        with pytest.raises(ModelFolderError, match=r"Saving would remove.*a new one"):
            write_bundle(tmp_path, 1, "")
        assert (tmp_path / "manifest.json").read_text() == manifest

    @pytest.mark.parametrize("name", ["", ".", "..", "here", "here/.."])
    def test_the_current_directory_is_not_replaced(self, tmp_path, monkeypatch, name):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        place = tmp_path / "here" if name == "here" else name
        if name == "here/..":
            place = tmp_path / name
        with pytest.raises(ModelFolderError, match=r"is the current directory"):
            write_bundle(place, 1, "")
        assert Path.cwd().exists()

    def test_a_link_goes_on_pointing_to_what_is_replaced(self, folder):
        link = folder.with_name("current")
        link.symlink_to(folder.name)
        write_bundle(link, {"name": "second"}, "")
        assert link.is_symlink()
        assert read_bundle(link) == read_bundle(folder) == {"name": "second"}
        assert {path.name for path in folder.parent.iterdir()} == {"model", "current"}

    def test_an_empty_folder_may_be_there_already(self, tmp_path):
        write_bundle(tmp_path, 1, "")
        assert read_bundle(tmp_path) == 1

    def test_foreign_files_are_not_overwritten(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("ten years of work")
        with pytest.raises(ModelFolderError, match="files that are no saved model"):
            write_bundle(tmp_path, 1, "")
        assert (tmp_path / "thesis.tex").read_text() == "ten years of work"

    def test_a_file_of_that_name_is_not_overwritten(self, tmp_path):
        (tmp_path / "model").write_text("text")
        with pytest.raises(ModelFolderError, match="is a file, but a model is saved"):
            write_bundle(tmp_path / "model", 1, "")

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (
                OSError(errno.ENOSPC, "No space left on device"),
                r"tensors.safetensors cannot be written \(No space.*make room there",
            ),
            (
                safetensors.SafetensorError("I/O error: full (os error 28)"),
                r"tensors.safetensors cannot be written .*make room there",
            ),
            (PermissionError(errno.EACCES, "Denied"), "in a place where you may write"),
            (OSError(errno.EIO, "Input/output error"), "name another folder"),
        ],
    )
    def test_a_full_disk_leaves_the_older_model(
        self, folder, monkeypatch, error, words
    ):
        def full(*arguments, **named):
            raise error

        monkeypatch.setattr(safetensors.numpy, "save_file", full)
        with pytest.raises(ModelFolderError, match=words):
            write_bundle(folder, {"name": "second"}, "")
        assert read_bundle(folder)["name"] == "first"
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    @pytest.mark.skipif(sys.platform != "linux", reason="a limit of Linux's")
    def test_a_file_that_may_not_grow_is_named(self, folder):
        script = f"""
            import resource, signal
            import numpy as np
            from sktransfer.bundles.folders import write_bundle

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            write_bundle({str(folder)!r}, np.zeros(10_000), "")
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "tensors.safetensors cannot be written" in done.stderr
        assert "make room there" in done.stderr.splitlines()[-1]
        assert read_bundle(folder)["name"] == "first"
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_no_error_of_the_systems_comes_out_bare(self, folder, tmp_path):
        (tmp_path / "loop").symlink_to("loop")
        for place in (tmp_path / "loop", tmp_path / ("a" * 300), folder / "README.md"):
            with pytest.raises(ModelFolderError, match=re.escape(str(place))):
                write_bundle(place, 1, "")
            with pytest.raises(ModelFolderError, match=re.escape(str(place))):
                read_bundle(place)
        with pytest.raises(ModelFolderError, match="is no path"):
            read_bundle("a\0b")
        with pytest.raises(ModelFolderError, match="cannot be written"):
            write_bundle(folder / "README.md" / "model", 1, "")

    def test_what_comes_beside_the_model_while_it_is_saved_is_not_lost(
        self, folder, monkeypatch
    ):
        save_file = safetensors.numpy.save_file

        def come(tensors, path):
            (folder / "notes.md").write_text("kept")
            save_file(tensors, path)

        monkeypatch.setattr(safetensors.numpy, "save_file", come)
        with pytest.raises(ModelFolderError, match=r"holds notes.md beside"):
            write_bundle(folder, {"name": "second"}, "")
        assert (folder / "notes.md").read_text() == "kept"
        assert read_bundle(folder)["name"] == "first"

    def test_a_second_saver_waits(self, folder, monkeypatch):
        save_file = safetensors.numpy.save_file
        thread = threading.Thread(
            target=write_bundle, args=(folder, {"name": "second"}, "")
        )

        def come(tensors, path):
            if not thread.ident:
                thread.start()
                thread.join(0.2)
                assert thread.is_alive()
                assert read_bundle(folder)["name"] == "first"
            save_file(tensors, path)

        monkeypatch.setattr(safetensors.numpy, "save_file", come)
        write_bundle(folder, {"name": "other"}, "")
        thread.join()
        assert read_bundle(folder) == {"name": "second"}
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_savers_and_a_reader_never_meet_an_error(self, folder):
        errors = []

        def come(work):
            try:
                for _ in range(8):
                    work()
            except Exception as error:
                errors.append(error)

        works = [lambda: write_bundle(folder, VALUE, "")] * 2
        works.append(lambda: read_bundle(folder))
        threads = [threading.Thread(target=come, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_a_saver_that_waits_too_long_is_told_so(self, folder, monkeypatch):
        def wait(*arguments, **named):
            raise TimeoutError(errno.ETIMEDOUT, "another process has been writing")

        monkeypatch.setattr(storage, "take_turn", wait)
        with pytest.raises(ModelFolderError, match=r"another process.*wait for it"):
            write_bundle(folder, {"name": "second"}, "")

    def test_what_cannot_be_saved_leaves_the_older_model(self, folder):
        with pytest.raises(ModelFolderError, match="cannot be saved"):
            write_bundle(folder, {"name": print}, "")
        assert read_bundle(folder)["name"] == "first"

    @pytest.mark.slow
    def test_a_process_killed_while_it_writes_leaves_the_older_model(self, folder):
        script = f"""
            import os, signal
            import safetensors.numpy
            from sktransfer.bundles import folders

            def die(tensors, path):
                path.write_bytes(b"half of a fi")
                os.kill(os.getpid(), signal.SIGKILL)

            safetensors.numpy.save_file = die
            folders.write_bundle({str(folder)!r}, {{"name": "second"}}, "")
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
        assert done.returncode == -signal.SIGKILL
        assert read_bundle(folder)["name"] == "first"


class TestReading:
    @staticmethod
    def replace_while_reading(monkeypatch, folder, most):
        """Have the folder replaced before a file of it is read, so many times."""
        read, numbers = OpenedFolder.read_by, iter(range(most))

        def replace(opened, name, how):
            if name == "tensors.safetensors":
                for number in numbers:
                    value = VALUE | {"numbers": np.full(2, number)}
                    write_bundle(folder, value, "")
                    break
            return read(opened, name, how)

        monkeypatch.setattr(OpenedFolder, "read_by", replace)

    def test_a_model_that_is_replaced_meanwhile_is_not_mixed(self, folder, monkeypatch):
        self.replace_while_reading(monkeypatch, folder, 3)
        np.testing.assert_array_equal(read_bundle(folder)["numbers"], np.full(2, 2))

    def test_it_gives_up_where_it_is_replaced_all_the_time(self, folder, monkeypatch):
        monkeypatch.setattr(folders, "_PATIENCE", 0.1)
        self.replace_while_reading(monkeypatch, folder, 1000)
        with pytest.raises(ModelFolderError, match="replaced again and again"):
            read_bundle(folder)

    def test_what_is_read_is_what_was_checked(self, folder, monkeypatch):
        read = OpenedFolder.read_by

        def damage(opened, name, how):
            found = read(opened, name, how)
            (folder / name).write_bytes(b"damaged after it was read")
            return found

        monkeypatch.setattr(OpenedFolder, "read_by", damage)
        np.testing.assert_array_equal(read_bundle(folder)["numbers"], VALUE["numbers"])

    @pytest.mark.parametrize("name", ["manifest.json", "model.json"])
    @pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
    def test_what_is_no_file_is_not_read(self, folder, name, kind):
        (folder / name).unlink()
        if kind == "folder":
            (folder / name).mkdir()
        elif kind == "pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to("/dev/zero")
        with pytest.raises(ModelFolderError, match=r"no ordinary|lacks the|not in the"):
            read_bundle(folder)

    @pytest.mark.parametrize("name", ["manifest.json", "tensors.safetensors"])
    def test_a_file_larger_than_any_memory_is_refused_at_once(self, folder, name):
        os.truncate(folder / name, 2**42)
        with pytest.raises(ModelFolderError, match=r"damaged: it has|cannot be read"):
            read_bundle(folder)

    def test_what_a_killed_process_had_moved_away_is_put_back(self, folder):
        for end in ("sktransfer-12345678.old", "12345678.old"):
            folder.rename(folder.with_name(f".model.{end}"))
            assert read_bundle(folder)["name"] == "first"
            assert [path.name for path in folder.parent.iterdir()] == ["model"]

    def test_where_it_cannot_be_put_back_it_is_named(self, folder, monkeypatch):
        def refuse(source, target):
            raise PermissionError

        monkeypatch.setattr(Path, "rename", refuse)
        monkeypatch.setattr(folders, "_BETWEEN_RENAMES", 0.1)
        os.rename(folder, folder.with_name(".model.sktransfer-12345678.old"))  # noqa: PTH104
        with pytest.raises(ModelFolderError, match=r"rename .*12345678.old to model"):
            read_bundle(folder)

    def test_a_directory_that_was_removed_is_said(self, tmp_path, monkeypatch):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        (tmp_path / "here").rmdir()
        with pytest.raises(ModelFolderError, match="current directory was removed"):
            read_bundle("model")
        write_bundle(tmp_path / "model", VALUE, "")
        assert read_bundle(tmp_path / "model")["name"] == "first"

    @pytest.mark.parametrize("text", ["[" * 10**5, "9" * 5000, '"\\ud800'])
    def test_a_manifest_that_json_cannot_read_is_damaged(self, folder, text):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ModelFolderError, match=r"damaged|no model that"):
            read_bundle(folder)

    def test_a_name_that_is_too_long_is_missing(self, folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["a" * 300] = "0" * 64
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelFolderError, match="lacks the file aaa"):
            read_bundle(folder)

    def test_a_change_that_keeps_size_and_time_is_noticed(self, folder):
        path = folder / "model.json"
        read_bundle(folder)
        times = path.stat()
        path.write_bytes(path.read_bytes().replace(b"first", b"worst"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(ModelFolderError, match="is not as it was written"):
            read_bundle(folder)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ModelFolderError, match=r"there is no folder .*nowhere"):
            read_bundle(tmp_path / "nowhere")

    def test_a_folder_of_something_else_is_refused(self, tmp_path):
        with pytest.raises(ModelFolderError, match=r"has no manifest.json"):
            read_bundle(tmp_path)

    @pytest.mark.parametrize(
        "manifest", [{}, [], {"format": "pickles", "format_version": 1}]
    )
    def test_a_manifest_of_something_else_is_refused(self, folder, manifest):
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelFolderError, match=r"no model that sktransfer|damaged"):
            read_bundle(folder)

    def test_a_later_format_says_what_to_do(self, folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["format_version"] = 99
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelFolderError, match=r"format 99.* install a later one"):
            read_bundle(folder)

    def test_an_error_tells_of_another_scikit_learn(self, folder):
        forge(folder, "model.json", b'{"model": {"is": "no such"}, "objects": []}')
        manifest = json.loads((folder / "manifest.json").read_text())
        with pytest.raises(ModelFolderError, match=r"unknown: .*no such'}\.$"):
            read_bundle(folder)
        for versions in ({"scikit-learn": "1.0"}, {"scikit-learn": ["1.0"]}):
            content = json.dumps(manifest | {"versions": versions})
            (folder / "manifest.json").write_text(content)
            with pytest.raises(
                ModelFolderError, match=r"saved with scikit-learn .*1\.0"
            ):
                read_bundle(folder)
        (folder / "manifest.json").write_text(json.dumps(manifest | {"versions": 1}))
        with pytest.raises(ModelFolderError, match=r"unknown: .*no such'}\.$"):
            read_bundle(folder)

    @pytest.mark.parametrize("name", ["model.json", "tensors.safetensors"])
    def test_one_changed_byte_is_noticed(self, folder, name):
        content = bytearray((folder / name).read_bytes())
        content[-2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(ModelFolderError, match="is not as it was written"):
            read_bundle(folder)

    @pytest.mark.parametrize("name", ["model.json", "tensors.safetensors"])
    def test_a_missing_file_is_named(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(ModelFolderError, match=f"lacks the file {name}"):
            read_bundle(folder)

    def test_a_truncated_manifest_is_damaged(self, folder):
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text[: len(text) // 2])
        with pytest.raises(ModelFolderError, match=r"manifest.json is damaged"):
            read_bundle(folder)

    @pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "sub/file", ".."])
    def test_files_outside_the_folder_are_not_read(self, folder, name):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][name] = "0" * 64
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelFolderError, match="not in the folder itself"):
            read_bundle(folder)

    def test_a_link_to_the_outside_is_not_followed(self, folder, tmp_path):
        target = tmp_path / "elsewhere.json"
        (folder / "model.json").rename(target)
        (folder / "model.json").symlink_to(target)
        with pytest.raises(ModelFolderError, match="not in the folder itself"):
            read_bundle(folder)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[1, 2]",
            b"\xff\xfe",
            b'{"model": {"is": "tensor", "name": "x", "shape": []}, "objects": []}',
            b'{"model": {"is": "object", "number": 3}, "objects": []}',
            b'{"model": {"is": "dict", "items": [[[], 1]]}, "objects": []}',
            b'{"model": ' + b"[" * 5000 + b"]" * 5000 + b', "objects": []}',
            b'{"model": {"is": "object", "number": 0}, "objects": [{"type": '
            b'"sklearn.linear_model._logistic:LogisticRegression", "fields": '
            b'{"parameters": {"is": "dict", "items": [["nonsense", 1]]}, '
            b'"fitted": {"is": "dict", "items": []}}}]}',
        ],
    )
    def test_nonsense_with_a_right_digest_is_one_clear_error(self, folder, content):
        forge(folder, "model.json", content)
        with pytest.raises(
            ModelFolderError,
            match=r"cannot be loaded: (what|it has no)",
        ):
            read_bundle(folder)

    def test_an_object_that_contains_itself_is_refused(self, folder):
        itself = {"is": "object", "number": 0}
        name = "sklearn.frozen._frozen:FrozenEstimator"
        fields = {"parameters": itself, "fitted": itself}
        content = {"model": itself, "objects": [{"type": name, "fields": fields}]}
        forge(folder, "model.json", json.dumps(content).encode())
        with pytest.raises(ModelFolderError, match="its object 0 holds itself"):
            read_bundle(folder)

    def test_people_may_edit_the_card(self, folder):
        (folder / "README.md").write_text("# Our best model so far")
        assert read_bundle(folder)["name"] == "first"

    def test_the_folder_may_be_moved_and_be_read_only(self, folder, tmp_path):
        moved = folder.rename(tmp_path / "elsewhere")
        for path in [*moved.iterdir(), moved]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert read_bundle(moved)["name"] == "first"
        moved.chmod(0o755)

    def test_a_path_may_start_at_home(self, folder, monkeypatch):
        monkeypatch.setenv("HOME", str(folder.parent))
        assert read_bundle("~/model")["name"] == "first"
