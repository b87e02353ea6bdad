import json
import os

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sktransfer.encoders import array_files, encoding
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import FileError, InvalidInputError, TruncationWarning

TEXTS = ["the film is good", "bad", "", "a boring plot but a great actor !", "bad"]


@pytest.fixture(autouse=True)
def empty_store():
    memory_store().clear()
    yield
    memory_store().clear()


@pytest.fixture
def make(tiny_bert):
    def make(**parameters):
        defaults = {"model": tiny_bert, "dtype": "float32", "device": "cpu"}
        return BertFeaturizer(**defaults | parameters)

    return make


@pytest.fixture
def counted():
    before = n_texts_encoded()
    return lambda: n_texts_encoded() - before


class TestFolder:
    def test_each_text_once_over_featurizers_and_poolings(
        self, make, tmp_path, counted
    ):
        expected = make(cache=None).fit_transform(TEXTS)
        before = counted()
        for _ in range(2):
            vectors = make(cache=tmp_path).fit_transform(TEXTS)
            np.testing.assert_allclose(vectors, expected, atol=1e-5)
        assert counted() - before == 4
        both = make(cache=str(tmp_path), pooling=("mean", "cls")).fit_transform(TEXTS)
        np.testing.assert_array_equal(both[:, :32], vectors)
        assert counted() - before == 8
        make(cache=tmp_path, pooling="cls").fit_transform(TEXTS)
        assert counted() - before == 8

    def test_what_it_holds_is_told_and_forgotten(self, make, tmp_path, counted):
        featurizer = make(cache=tmp_path).fit(TEXTS)
        featurizer.transform(TEXTS)
        info = featurizer.cache_info()
        assert (info.n_vectors, info.misses) == (4, 4)
        assert 4 * 32 * 4 < info.n_bytes < 4000
        featurizer.clear_cache()
        assert featurizer.cache_info().n_vectors == 0
        featurizer.transform(TEXTS)
        assert counted() == 8
        assert make(cache=None).cache_info() == (0, 0, 0, 0, 0)


class TestSharing:
    @pytest.mark.parametrize("cache", ["memory", "folder"])
    def test_one_pass_serves_all_poolings(self, make, counted, cache, tmp_path):
        where = tmp_path if cache == "folder" else "memory"
        poolings = ["max", "cls", ("mean", "max"), "mean"]
        for pooling in poolings:
            vectors = make(
                share="poolings", pooling=pooling, cache=where
            ).fit_transform(TEXTS)
            plain = make(pooling=pooling, cache=None)
            np.testing.assert_allclose(vectors, plain.fit_transform(TEXTS), atol=1e-5)
        # Every plain one encoded four distinct texts, and sharing only once.
        assert counted() == 4 * len(poolings) + 4

    def test_one_pass_serves_all_layers(self, make, counted):
        for layers in (-1, 0, 1, 2, -3):
            make(share="layers", layers=layers).fit_transform(TEXTS)
        assert counted() == 4
        shared = make(layers=1, pooling="max").fit_transform(TEXTS)
        assert counted() == 4
        plain = make(layers=1, pooling="max", cache=None).fit_transform(TEXTS)
        np.testing.assert_allclose(shared, plain, atol=1e-5)

    def test_a_store_without_room_costs_no_second_pass(self, make, counted):
        bound = memory_store().cache_info().max_bytes
        memory_store().resize(0)
        try:
            make(pooling=("mean", "cls", "max")).fit_transform(TEXTS)
        finally:
            memory_store().resize(bound)
        assert counted() == 4


class TestWriting:
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr(array_files, "_BLOCK", 2)

    @pytest.mark.parametrize("normalize", [False, True])
    def test_the_file_holds_what_transform_returns(self, make, tmp_path, normalize):
        featurizer = make(normalize=normalize).fit(TEXTS)
        path = tmp_path / "vectors.npy"
        written = featurizer.transform_to(TEXTS, path)
        assert isinstance(written, np.memmap)
        np.testing.assert_array_equal(written, featurizer.transform(TEXTS))
        np.testing.assert_array_equal(np.load(path), written)
        assert [entry.name for entry in tmp_path.iterdir()] == ["vectors.npy"]

    def test_it_goes_on_where_it_stopped(self, make, tmp_path, counted):
        featurizer = make(cache=None).fit(TEXTS)
        path = tmp_path / "vectors.npy"

        def interrupted():
            yield from TEXTS[:4]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            featurizer.transform_to(interrupted(), path, n_texts=5)
        assert not path.exists()
        assert counted() == 4
        written = featurizer.transform_to(iter(TEXTS), path, n_texts=5)
        assert counted() == 5
        np.testing.assert_allclose(written, featurizer.transform(TEXTS), atol=1e-5)

    def test_what_was_of_other_texts_or_parameters_is_computed_again(
        self, make, tmp_path
    ):
        path = tmp_path / "vectors.npy"

        def stop(featurizer, texts):
            with pytest.raises(InvalidInputError, match="X holds 4 texts, but 5"):
                featurizer.transform_to(iter(texts), path, n_texts=5)

        featurizer = make().fit(TEXTS)
        stop(featurizer, ["good", "fine", *TEXTS[2:4]])
        expected = featurizer.transform(TEXTS)
        np.testing.assert_array_equal(featurizer.transform_to(TEXTS, path), expected)
        stop(make(pooling="cls").fit(TEXTS), TEXTS[:4])
        np.testing.assert_array_equal(featurizer.transform_to(TEXTS, path), expected)

    def test_damaged_notes_are_no_obstacle(self, make, tmp_path):
        path = tmp_path / "vectors.npy"
        (tmp_path / "vectors.npy.part").touch()
        (tmp_path / "vectors.npy.part.json").write_text("{")
        assert make().fit(TEXTS).transform_to(TEXTS, path).shape == (5, 32)

    @pytest.mark.parametrize("end", [".part", ".part.json"])
    def test_files_of_others_with_the_names_of_parts_stay(self, make, tmp_path, end):
        path = tmp_path / f"vectors.npy{end}"
        path.write_text('{"mine": 1}')
        with pytest.raises(InvalidInputError, match="was not left by an interrupted"):
            make().fit(TEXTS).transform_to(TEXTS, tmp_path / "vectors.npy")
        assert path.read_text() == '{"mine": 1}'

    def test_a_call_that_ended_before_its_first_block_is_begun_anew(
        self, make, tmp_path
    ):
        def interrupted():
            yield "good"
            raise KeyboardInterrupt

        featurizer, path = make().fit(TEXTS), tmp_path / "vectors.npy"
        with pytest.raises(KeyboardInterrupt):
            featurizer.transform_to(interrupted(), path, n_texts=5)
        assert path.with_name("vectors.npy.part").stat().st_size
        assert featurizer.transform_to(TEXTS, path).shape == (5, 32)

    def test_bad_input_is_named(self, make, tmp_path):
        featurizer = make().fit(TEXTS)
        with pytest.raises(InvalidInputError, match=r"length is not known.*n_texts"):
            featurizer.transform_to(iter(TEXTS), tmp_path / "x.npy")
        with pytest.raises(InvalidInputError, match="more than the 3 texts"):
            featurizer.transform_to(iter(TEXTS), tmp_path / "x.npy", n_texts=3)
        with pytest.raises(InvalidInputError, match="None"):
            featurizer.transform_to(["a", None], tmp_path / "x.npy")
        with pytest.raises(NotFittedError):
            make().transform_to(TEXTS, tmp_path / "x.npy")

    def test_cut_texts_are_one_warning_for_all_blocks(self, make, tmp_path):
        texts = ["good " * 100, "bad", "fine " * 100, "dull"]
        with pytest.warns(TruncationWarning, match=r"2 of 4 texts \(50%\)") as caught:
            make().fit(texts).transform_to(texts, tmp_path / "x.npy")
        assert len(caught) == 1


def test_ctrl_c_leaves_what_was_encoded_in_the_cache(make, monkeypatch, counted):
    monkeypatch.setattr(encoding, "_BLOCK", 2)
    texts = [f"film {number}" for number in range(6)]
    usual, calls = encoding.encode_rows, []

    def interrupt(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return usual(*args, **options)

    monkeypatch.setattr(encoding, "encode_rows", interrupt)
    featurizer = make().fit(texts)
    with pytest.raises(KeyboardInterrupt):
        featurizer.transform(texts)
    assert counted() == 4
    featurizer.transform(texts)
    assert counted() == 6


def test_many_texts_are_looked_up_in_parts(make, monkeypatch, counted):
    monkeypatch.setattr(encoding, "_LOOK_UP", 3)
    texts = [f"film {number % 7}" for number in range(20)]
    for cache in (None, "memory"):
        vectors = make(cache=cache).fit_transform(texts)
        np.testing.assert_allclose(vectors[:6], vectors[7:13], atol=1e-6)
        plain = make(cache=None).fit_transform(texts[:7])
        np.testing.assert_allclose(vectors[:7], plain, atol=1e-5)
    assert counted() == 4 * 7

    def test_a_part_that_was_changed_is_computed_again(self, make, tmp_path, counted):
        featurizer = make(cache=None).fit(TEXTS)
        path, part = tmp_path / "vectors.npy", tmp_path / "vectors.npy.part"
        right = featurizer.transform_to(TEXTS, tmp_path / "right.npy").copy()
        for damage in (
            lambda: os.truncate(part, 300),
            lambda: os.truncate(part, 0),
            lambda: part.write_bytes(bytes(part.stat().st_size)),
            lambda: part.write_bytes(part.read_bytes()[::-1]),
            lambda: part.write_bytes(part.read_bytes() * 2),
            part.unlink,
        ):
            with pytest.raises(InvalidInputError, match="X holds 4 texts"):
                featurizer.transform_to(iter(TEXTS[:4]), path, n_texts=5)
            damage()
            before = counted()
            written = featurizer.transform_to(TEXTS, path)
            np.testing.assert_allclose(written, right, atol=1e-6)
            assert counted() - before >= 3
            assert [*tmp_path.glob("*.part*")] == []

    @pytest.mark.parametrize(
        "blocks", [None, 3, {"a": 1}, [[1]], ["", ""], ["x" * 32] * 9, [" "]]
    )
    def test_notes_of_another_kind_promise_nothing(self, make, tmp_path, blocks):
        featurizer = make(cache=None).fit(TEXTS)
        path, notes = tmp_path / "vectors.npy", tmp_path / "vectors.npy.part.json"
        with pytest.raises(InvalidInputError, match="X holds 4 texts"):
            featurizer.transform_to(iter(TEXTS[:4]), path, n_texts=5)
        notes.write_text(json.dumps(json.loads(notes.read_text()) | {"blocks": blocks}))
        written = featurizer.transform_to(TEXTS, path)
        np.testing.assert_allclose(written, featurizer.transform(TEXTS), atol=1e-6)

    def test_brackets_in_brackets_are_damaged_notes(self, make, tmp_path):
        path = tmp_path / "vectors.npy"
        (tmp_path / "vectors.npy.part.json").write_text("[" * 200_000)
        assert make().fit(TEXTS).transform_to(TEXTS, path).shape == (5, 32)

    def test_a_second_call_for_the_same_file_is_refused(self, make, tmp_path):
        featurizer = make().fit(TEXTS)
        path = tmp_path / "vectors.npy"

        def texts():
            yield from TEXTS[:3]
            with pytest.raises(InvalidInputError, match="Another call is writing"):
                make(pooling="cls").fit(TEXTS).transform_to(TEXTS, path)
            yield from TEXTS[3:]

        written = featurizer.transform_to(texts(), path, n_texts=5)
        np.testing.assert_array_equal(written, featurizer.transform(TEXTS))
        assert [entry.name for entry in tmp_path.iterdir()] == ["vectors.npy"]

    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call here")
    def test_a_full_disk_names_the_file(self, make, tmp_path, monkeypatch):
        featurizer = make().fit(TEXTS)
        path = tmp_path / "vectors.npy"

        def full(*args):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "posix_fallocate", full)
            with pytest.raises(FileError, match=r"vectors\.npy cannot .*No space"):
                featurizer.transform_to(TEXTS, path)
        assert (tmp_path / "vectors.npy.part").stat().st_size == 0
        assert featurizer.transform_to(TEXTS, path).shape == (5, 32)

    def test_a_limit_on_the_size_of_files_is_no_signal(self, make, tmp_path):
        resource = pytest.importorskip("resource")
        featurizer = make().fit(TEXTS)
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, old[1]))
        try:
            with pytest.raises(FileError, match="File too large"):
                featurizer.transform_to(TEXTS, tmp_path / "vectors.npy")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)

    @pytest.mark.parametrize("place", ["vectors.npy.part", "vectors.npy.part.json"])
    def test_a_link_is_not_written_through(self, make, tmp_path, place):
        mine = tmp_path / "mine.txt"
        mine.write_text("mine")
        (tmp_path / place).symlink_to(mine)
        with pytest.raises(InvalidInputError, match="is in the way"):
            make().fit(TEXTS).transform_to(TEXTS, tmp_path / "vectors.npy")
        assert mine.read_text() == "mine"

    def test_no_folder_and_no_file_are_told_at_once(self, make, tmp_path):
        featurizer = make().fit(TEXTS)
        with pytest.raises(InvalidInputError, match="is a folder: name a file"):
            featurizer.transform_to(TEXTS, tmp_path)
        with pytest.raises(InvalidInputError, match="There is no folder"):
            featurizer.transform_to(TEXTS, tmp_path / "no" / "vectors.npy")
