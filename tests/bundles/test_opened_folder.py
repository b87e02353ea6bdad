from __future__ import annotations

import hashlib
import os

import pytest

from sktransfer.bundles import opened_folder
from sktransfer.bundles.opened_folder import OpenedFolder
from sktransfer.exceptions import ModelFolderError


@pytest.fixture(params=["by handle", "by path"])
def way(request, monkeypatch):
    """How files are looked up, which depends on the system."""
    if request.param == "by path":
        monkeypatch.setattr(opened_folder, "_BY_HANDLE", False)


@pytest.fixture
def folder(tmp_path):
    """A folder with one file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    return tmp_path / "folder"


@pytest.mark.usefixtures("way")
class TestEitherWay:
    def test_bytes_come_with_their_digest(self, folder):
        with OpenedFolder(folder) as opened:
            assert opened.size("file") == 7
            content, digest = opened.read("file")
        assert content == b"content"
        assert digest == hashlib.sha256(b"content").hexdigest()

    @pytest.mark.parametrize("name", ["missing", "a" * 300])
    def test_what_is_missing_has_no_size(self, folder, name):
        with OpenedFolder(folder) as opened:
            assert opened.size(name) is None

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b", "\ud800"]
    )
    def test_names_of_elsewhere_are_refused(self, folder, name):
        with (
            OpenedFolder(folder) as opened,
            pytest.raises(ModelFolderError, match="not in the folder itself"),
        ):
            opened.size(name)

    def test_a_link_is_of_elsewhere(self, folder):
        (folder / "link").symlink_to("file")
        with OpenedFolder(folder) as opened:
            with pytest.raises(ModelFolderError, match="not in the folder itself"):
                opened.size("link")
            with pytest.raises(OSError, match="symbolic links"):
                opened.read("link")

    @pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
    def test_a_pipe_is_not_waited_for(self, folder):
        os.mkfifo(folder / "pipe")
        with OpenedFolder(folder) as opened:
            assert opened.size("pipe") is None
            with pytest.raises(FileNotFoundError):
                opened.read("pipe")

    def test_what_is_no_folder_is_an_error(self, folder):
        for path in (folder / "file", folder / "missing"):
            with pytest.raises((FileNotFoundError, NotADirectoryError)):
                OpenedFolder(path)


@pytest.mark.skipif(not opened_folder._BY_HANDLE, reason="names are looked up anew")
def test_a_folder_that_takes_its_place_is_another_one(folder):
    with OpenedFolder(folder) as opened:
        assert opened.is_in_place()
        folder.rename(folder.with_name("old"))
        assert not opened.is_in_place()
        folder.mkdir()
        (folder / "file").write_bytes(b"another")
        assert not opened.is_in_place()
        assert opened.read("file")[0] == b"content"
