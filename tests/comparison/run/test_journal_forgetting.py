"""What a comparison has left is removed, and nothing of anybody else's."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sktransfer.comparison.run.journal import forget_comparison, open_journal
from sktransfer.encoders.cache.disk import DiskStore
from sktransfer.encoders.encoding import hash_texts
from sktransfer.exceptions import InvalidParameterError
from sktransfer.persistence import save

MODEL = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path):
    """A journal, a model of a source, vectors with locks, and what a kill left."""
    folder = tmp_path / "journal"
    with open_journal(folder, {"random_state": 1}) as journal:
        journal.write({"entry": "fold"})
    model = DummyClassifier().fit([[0.0]], [1])
    save(model, folder / "sources" / MODEL)
    store, keys = DiskStore(folder / "vectors"), hash_texts(["a"], "ab" * 32)
    list(store.lock(keys))
    store.put_many(keys, np.zeros((1, 2), np.float32))
    unfinished = folder / "sources" / f".{MODEL}.a1_b2c3d"
    unfinished.mkdir()
    (unfinished / "model.json").write_text("{")
    return folder


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_all_that_a_comparison_leaves_is_removed(folder):
    assert len(content(folder)) >= 6
    forget_comparison(folder)
    assert content(folder) == {}
    assert not (folder / "sources").exists()
    with open_journal(folder, {"random_state": 2}) as journal:
        assert journal.of_kind("fold") == []


def test_where_nothing_is_nothing_happens(tmp_path):
    forget_comparison(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    "name",
    [
        "diary.txt",
        "vectors/diary.vec",
        f"sources/{MODEL}/diary.txt",
        "sources/mine/model.json",
        "empty.lock",
    ],
)
def test_with_a_file_of_others_nothing_is_removed(folder, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = content(folder)
    with pytest.raises(InvalidParameterError, match=r"journal' holds .*move that away"):
        forget_comparison(folder)
    assert content(folder) == before


def test_what_a_link_points_to_stays(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"{MODEL}.vec").write_text("mine")
    (folder / "sources" / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(InvalidParameterError, match="holds 'sources/link'"):
        forget_comparison(folder)
    assert content(tmp_path / "mine")


def test_what_systems_leave_is_no_obstacle_and_stays(folder):
    (folder / ".DS_Store").write_text("x")
    forget_comparison(folder)
    assert list(content(folder)) == [".DS_Store"]


def test_a_journal_in_use_is_not_removed(folder):
    before = content(folder)
    with (
        open_journal(folder, {"random_state": 1}),
        pytest.raises(InvalidParameterError, match="in use by another comparison"),
    ):
        forget_comparison(folder)
    assert content(folder) == before
