import shutil

import pytest

from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import CheckpointNotFoundError


@pytest.fixture
def cached(tmp_path, tiny_bert, monkeypatch):
    """Function that puts the tiny BERT into the hub's cache, under an id."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def cached(hub_id):
        folder = tmp_path / f"models--{hub_id.replace('/', '--')}"
        shutil.copytree(tiny_bert, folder / "snapshots" / "abc")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
        return hub_id

    return cached


@pytest.mark.parametrize(
    ("hub_id", "prefix"),
    [("intfloat/multilingual-e5-base", "query: "), ("BAAI/bge-base-en-v1.5", "")],
)
def test_a_prefix_that_the_files_do_not_declare(cached, hub_id, prefix):
    assert BertFeaturizer(cached(hub_id)).fit(["good"]).prefix_ == prefix


def test_an_empty_prefix_that_is_asked_for_stays(cached):
    hub_id = cached("intfloat/multilingual-e5-base")
    assert BertFeaturizer(hub_id, prefix="").fit(["good"]).prefix_ == ""


def test_of_a_folder_nothing_is_known(tiny_bert):
    featurizer = BertFeaturizer(tiny_bert).fit(["good"])
    assert featurizer.prefix_ == ""
    assert featurizer.layers_ == (-1,)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sentence-transformers/all-minilm-l6-v2", "Did you mean 'all-MiniLM-L6-v2'?"),
        ("All-MiniLM-L6-v2", "Did you mean 'all-MiniLM-L6-v2'?"),
        ("glove-6b-50d", r"WordVectorFeaturizer\('glove-6b-50d'\) reads"),
    ],
)
def test_the_name_that_was_meant_is_guessed(name, hint, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointNotFoundError, match=hint):
        BertFeaturizer(name, local_files_only=True).fit(["good"])
