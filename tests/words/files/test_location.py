from __future__ import annotations

import copy
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktransfer.exceptions import (
    CacheWarning,
    InvalidParameterError,
    SktransferWarning,
    WordVectorsError,
)
from sktransfer.storage import cache_folder
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.files import formats, location
from sktransfer.words.files.formats import FORMATS, read_source
from sktransfer.words.files.tables import FACTS
from sktransfer.words.vectors import WordVectors


@pytest.fixture
def vectors(toy_words, toy_matrix):
    return WordVectors([*toy_words, "🙂"], np.vstack([toy_matrix, np.arange(8)]))


def said(format):
    """What `load` is to be told of a format that it does not open by itself."""
    return {"format": "gensim"} if format == "gensim" else {}


def assert_same(found, expected, *words):
    assert found.index_of(words).tolist() == expected.index_of(words).tolist()
    assert found.words == expected.words
    np.testing.assert_array_equal(found.matrix, expected.matrix)


class TestEveryFormat:
    """What was written is read again, number for number."""

    @pytest.mark.parametrize("format", FORMATS)
    def test_round_trip(self, vectors, tmp_path, format):
        saved = vectors.save(tmp_path / "toy", format=format)
        assert_same(saved, vectors)
        assert saved.digest == vectors.digest

    @pytest.mark.parametrize("format", ["word2vec", "word2vec-binary"])
    def test_compressed_round_trip(self, vectors, tmp_path, format):
        assert_same(vectors.save(tmp_path / "toy.gz", format=format), vectors)
        assert (tmp_path / "toy.gz").read_bytes()[:2] == b"\x1f\x8b"

    @pytest.mark.parametrize("format", FORMATS)
    def test_limit_reads_the_first_words(self, vectors, tmp_path, format):
        vectors.save(tmp_path / "toy", format=format)
        few = WordVectors.load(tmp_path / "toy", limit=3, **said(format))
        assert few.words == vectors.words[:3]
        np.testing.assert_array_equal(few.matrix, vectors.matrix[:3])
        many = WordVectors.load(tmp_path / "toy", limit=10_000, **said(format))
        assert len(many) == len(vectors)

    @pytest.mark.parametrize("format", FORMATS)
    def test_half_precision(self, vectors, tmp_path, format):
        vectors.save(tmp_path / "toy", format=format)
        half = WordVectors.load(tmp_path / "toy", dtype="float16", **said(format))
        assert half.matrix.dtype == np.float16
        assert half["good"].dtype == np.float32
        np.testing.assert_allclose(half.matrix, vectors.matrix, rtol=1e-3)
        assert len(pickle.loads(pickle.dumps(half))) == len(vectors)

    @pytest.mark.parametrize("binary", [False, True])
    @pytest.mark.parametrize("ending", ["", ".gz"])
    def test_gensim_writes_what_is_read(self, vectors, tmp_path, binary, ending):
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(8)
        keyed.add_vectors(list(vectors.words), vectors.matrix)
        path = str(tmp_path / f"toy{ending}")
        keyed.save_word2vec_format(path, binary=binary)
        found = WordVectors.load(path)
        assert found.words == vectors.words
        np.testing.assert_allclose(found.matrix, vectors.matrix, rtol=1e-5)

    @pytest.mark.parametrize("binary", [False, True])
    def test_gensim_reads_what_is_written(self, vectors, tmp_path, binary):
        from gensim.models import KeyedVectors

        format = "word2vec-binary" if binary else "word2vec"
        path = tmp_path / "toy"
        vectors.save(path, format=format)
        keyed = KeyedVectors.load_word2vec_format(str(path), binary=binary)
        assert tuple(keyed.index_to_key) == vectors.words
        np.testing.assert_array_equal(keyed.vectors, vectors.matrix)

    def test_gensim_native_and_from_gensim_agree(self, vectors, tmp_path):
        from gensim.models import KeyedVectors

        vectors.save(tmp_path / "toy", format="gensim")
        keyed = KeyedVectors.load(str(tmp_path / "toy"))
        assert_same(WordVectors.from_gensim(keyed), vectors)

    def test_a_whole_gensim_model_is_read(self, tmp_path):
        from gensim.models import Word2Vec

        model = Word2Vec([["a", "b"], ["b", "c"]], vector_size=4, min_count=1)
        model.save(str(tmp_path / "model"))
        found = WordVectors.load(tmp_path / "model", format="gensim")
        assert_same(found, WordVectors.from_gensim(model))

    def test_gensims_format_is_opened_only_where_it_is_said(self, vectors, tmp_path):
        path = tmp_path / "toy.kv"
        saved = vectors.save(path, format="gensim")
        for _ in range(2):  # from the cache as from the file
            with pytest.raises(WordVectorsError, match="is a pickle, as gensim's save"):
                WordVectors.load(path)
            assert_same(WordVectors.load(path, format="gensim"), vectors)
        for same in (saved, pickle.loads(pickle.dumps(saved)), copy.deepcopy(saved)):
            assert_same(same, vectors)
            assert WordVectorFeaturizer(same).fit(["good"]).vectors_ is same

    def test_a_file_that_is_not_gensims_is_not_opened_as_such(self, vectors, tmp_path):
        for format in ("word2vec", "sktransfer"):
            vectors.save(tmp_path / format, format=format)
            with pytest.raises(WordVectorsError, match="gensim cannot read"):
                WordVectors.load(tmp_path / format, format="gensim")

    @pytest.mark.parametrize("format", ["word2vec", "pickle", True, ""])
    def test_other_formats_are_told_by_the_content(self, tmp_path, format):
        with pytest.raises(InvalidParameterError, match="None, which tells it by the"):
            WordVectors.load(tmp_path, format=format)


def test_glove_text_has_no_first_line(vectors, tmp_path):
    path = tmp_path / "glove.txt"
    vectors.save(path, format="word2vec")
    path.write_text(path.read_text("utf-8").split("\n", 1)[1], "utf-8")
    assert_same(WordVectors.load(path), vectors)
    assert len(WordVectors.load(path, limit=2)) == 2


def test_words_may_hold_spaces(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2\n. . . 3 4\nat name@x 5 6\n")
    assert WordVectors.load(path).words == ("the", ". . .", "at name@x")


def test_blank_lines_and_windows_line_ends_are_nothing(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_bytes(b"the 1 2\r\n\r\na 3 4\r\n\r\n")
    assert WordVectors.load(path)["a"].tolist() == [3, 4]


def test_bytes_that_are_no_utf8_are_replaced(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_bytes(b"the 1 2\nb\xff 3 4\n")
    assert WordVectors.load(path).words == ("the", "b\ufffd")


def test_of_repeated_words_the_first_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "WORDS_A_BLOCK", 3)
    path = tmp_path / "glove.txt"
    path.write_text("a 1 2\nb 3 4\na 5 6\nc 7 8\nb 9 9\nc 9 9\n")
    with pytest.warns(SktransferWarning, match="3 words stand more than once in"):
        vectors = WordVectors.load(path)
    assert vectors.words == ("a", "b", "c")
    assert vectors.matrix.tolist() == [[1, 2], [3, 4], [7, 8]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "in no known format"),
        (b"\n\n", "in no known format"),
        (b"hello\nworld\n", "in no known format"),
        (b"a 1 2\nb 3\n", "Line 2 of .* has 1 numbers, but 2 are expected"),
        (b"2 2\na 1 2\n", "announces 2 words, but 1 follow"),
        (b"1 2\na 1 2\nb 3 4\n", "announces 1 words, but 2 follow"),
        (
            b"2 3\na 1 2\nb 3 4\n",
            "announces vectors of 3 numbers, but its lines have 2",
        ),
        (
            b"2 1\na 1 2\nb 3 4\n",
            "announces vectors of 1 numbers, but its lines have 2",
        ),
        (b"0 3\n", "announces 0 words of 3 numbers"),
        (b"2 0\n", "announces 2 words of 0 numbers"),
        (b"2 2\na 1 2\n\nb 3 x\n", "vector of 'b' .*, line 4, has 'x' as number 1"),
        (b"9" * 4000 + b" 2\na 1 2\n", "announces 99999999999999999999 words of 2"),
        (b"2 " + b"9" * 4000 + b"\na 1 2\n", "words of 99999999999999999999 numbers"),
        (b"2 1048577\na 1 2\n", "at most 2147483647 words of 1048576 numbers, are"),
        (b"a 1 2\nb 1 1e39\n", "vector of 'b' .* has inf as number 1"),
        (
            b"a 1 2\n" + b"b" * 2**21,
            "has a line of more than 1050624 bytes, but",
        ),
        (b"3 1\na \xff\xff\xff\x00" + b"b" * 2**21, "has no space behind word 1 for"),
        (b"a 1 2\nb nan 3\n", "vector of 'b' .* has nan as number 0"),
        (b"a 1 2\nb 3 inf\n", "vector of 'b' .* has inf as number 1"),
    ],
)
def test_broken_text(content, message, tmp_path):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(WordVectorsError, match=message):
        WordVectors.load(path)


def test_lines_and_words_without_end_do_not_fill_the_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "endless"
    for start in (b"a 1 2\nb", b"3 1\na \xff\xff\xff\x00b"):
        path.write_bytes(start)
        os.truncate(path, 2**28)
        tracemalloc.start()
        with pytest.raises(WordVectorsError, match=r"a line of more|no space behind"):
            list(read_source(path).blocks)
        assert tracemalloc.get_traced_memory()[1] < 2**25
        tracemalloc.stop()


def test_a_short_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "cut"
    lines = [f"w{n} {n} {n} {n}" for n in range(20_000)]
    path.write_text("\n".join([*lines, "last 1 2"]))
    with pytest.raises(
        WordVectorsError, match=r"Line 20001 of .* has 2 numbers, but 3"
    ):
        WordVectors.load(path)


@pytest.mark.parametrize("kept", [-1, -9, 60])
def test_cut_binary(vectors, tmp_path, kept):
    path = tmp_path / "toy.bin"
    vectors.save(path, format="word2vec-binary")
    path.write_bytes(path.read_bytes()[: -1 + kept if kept < 0 else kept])
    with pytest.raises(WordVectorsError, match=r"ends after \d+ words, but \d+ are"):
        WordVectors.load(path)


def test_binary_numbers_that_are_not_finite(tmp_path):
    path = tmp_path / "toy.bin"
    numbers = np.array([1, np.nan], "<f4").tobytes()
    path.write_bytes(b"1 2\ngood " + numbers)
    with pytest.raises(
        WordVectorsError, match=r"vector of 'good' .* has nan as number 1"
    ):
        WordVectors.load(path)


def test_binary_is_read_in_pieces(vectors, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_BYTES_A_READ", 7)
    monkeypatch.setattr(formats, "WORDS_A_BLOCK", 5)
    assert_same(vectors.save(tmp_path / "toy", format="word2vec-binary"), vectors)


@pytest.mark.parametrize("word", ["", "a\nb"])
@pytest.mark.parametrize("format", ["word2vec", "word2vec-binary"])
def test_words_that_a_format_cannot_hold_are_refused(word, format, tmp_path):
    vectors = WordVectors([word, "b"], [[1.0], [2.0]])
    with pytest.raises(WordVectorsError, match="cannot be written as word2vec"):
        vectors.save(tmp_path / "toy", format=format)
    assert not (tmp_path / "toy").exists()
    assert_same(vectors.save(tmp_path / "toy"), vectors)


class TestFoldersOfOthers:
    @pytest.mark.parametrize("beside_vectors", [False, True])
    def test_their_files_stay(self, vectors, tmp_path, beside_vectors):
        if beside_vectors:
            vectors.save(tmp_path / "toy")
        path = tmp_path / "toy" / "diary.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        with pytest.raises(WordVectorsError, match=r"toy holds diary\.txt, and saving"):
            vectors.save(tmp_path / "toy")
        assert path.read_text() == "mine"

    def test_so_does_a_file_in_the_place_of_the_folder(self, vectors, tmp_path):
        (tmp_path / "toy").write_text("mine")
        with pytest.raises(WordVectorsError, match="toy is a file"):
            vectors.save(tmp_path / "toy")
        assert (tmp_path / "toy").read_text() == "mine"

    def test_older_vectors_are_replaced(self, vectors, tmp_path):
        vectors.save(tmp_path / "toy")
        other = WordVectors(["a"], [[1.0]])
        assert_same(other.save(tmp_path / "toy"), other)


def test_an_unknown_format_is_refused(vectors, tmp_path):
    with pytest.raises(InvalidParameterError, match="format='hdf5', but one of"):
        vectors.save(tmp_path / "toy", format="hdf5")


@given(st.binary(max_size=200))
def test_no_bytes_give_anything_but_vectors_or_a_clear_error(content):
    path = cache_folder("test") / "bytes"
    path.write_bytes(content)
    try:
        source = read_source(path)
        for words, matrix in source.blocks:
            assert matrix.shape == (len(words), source.width)
    except WordVectorsError:
        pass


class TestFastText:
    @pytest.fixture
    def model(self):
        from gensim.models import FastText

        texts = [["good", "film", "goodness"], ["bad", "film", "badness"]] * 20
        return FastText(texts, vector_size=6, min_count=1, bucket=50, seed=1, workers=1)

    @pytest.fixture
    def path(self, model, tmp_path):
        from gensim.models.fasttext import save_facebook_model

        save_facebook_model(model, str(tmp_path / "toy.bin"))
        return tmp_path / "toy.bin"

    def test_words_and_pieces_are_those_of_gensim(self, model, path):
        vectors = WordVectors.load(path)
        assert vectors.words == tuple(model.wv.index_to_key)
        np.testing.assert_allclose(vectors.matrix, model.wv.vectors, rtol=1e-5)
        assert vectors.subwords is not None
        for word in ["goodly", "unseen", "f"]:
            np.testing.assert_allclose(
                vectors.subwords.vector(word), model.wv[word], rtol=1e-5
            )

    def test_pieces_survive_saving_and_pickling(self, model, tmp_path):
        vectors = WordVectors.from_gensim(model)
        saved = vectors.save(tmp_path / "toy")
        assert saved.digest == vectors.digest
        for again in [saved, *map(pickle.loads, map(pickle.dumps, [vectors, saved]))]:
            expected = vectors.subwords.vector("goodly")
            np.testing.assert_array_equal(again.subwords.vector("goodly"), expected)

    def test_a_cut_file_is_named(self, path):
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(WordVectorsError, match=r"toy\.bin ends at byte 300, but"):
            WordVectors.load(path)

    def test_vec_files_are_text(self, model, tmp_path):
        path = tmp_path / "toy.vec"
        model.wv.save_word2vec_format(str(path))
        assert WordVectors.load(path).words == tuple(model.wv.index_to_key)


def test_a_pickle_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WordVectorsError, match="other is a pickle"):
        WordVectors.load(path)
    with pytest.raises(WordVectorsError, match=r"gensim cannot read .*other"):
        WordVectors.load(path, format="gensim")


def test_packaged_layout_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    np.save(tmp_path / "toy_emb.npy", np.asfortranarray([[1, 2], [3, 4.0]]))
    table = pa.table({"index": ["good", "bad"]})
    pq.write_table(table, tmp_path / "toy_index.parquet")
    vectors = WordVectors.load(tmp_path)
    assert vectors["bad"].tolist() == [3, 4]
    assert vectors.matrix.flags.c_contiguous


def test_packaged_words_and_numbers_must_fit(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    np.save(tmp_path / "toy_emb.npy", np.ones((3, 2)))
    pq.write_table(pa.table({"index": ["good", "bad"]}), tmp_path / "toy_index.parquet")
    with pytest.raises(WordVectorsError, match="has 2 words, but 3 vectors"):
        WordVectors.load(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(WordVectorsError, match="is a folder, but not one of vectors"):
        WordVectors.load(tmp_path)


def test_what_is_nowhere_is_said_with_the_names_there_are():
    with pytest.raises(WordVectorsError, match=r"'glove-7b': .*\['glove-6b-50d'\]"):
        WordVectors.load("glove-7b")
    with pytest.raises(WordVectorsError, match=r"no file or folder 'x/glove-6b-50d': "):
        WordVectors.load("x/glove-6b-50d")


class TestNamesAndPaths:
    @pytest.fixture(autouse=True)
    def here(self, vectors, tmp_path, monkeypatch):
        """A working directory with vectors under all kinds of names."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("toy", "toy.txt", "glove-6b-50d", ".toy", "toy."):
            vectors.save(Path(name), format="word2vec")

    @pytest.mark.parametrize(
        "source",
        ["./toy", "toy.txt", "~/toy", ".toy", "./toy.", "./glove-6b-50d", Path("toy")],
    )
    def test_what_looks_like_a_path_is_one(self, vectors, source):
        assert_same(WordVectors.load(source), vectors)

    def test_a_path_may_be_called_like_packaged_vectors(self, vectors):
        found = WordVectors.load(Path("glove-6b-50d"))
        assert_same(found, vectors)
        assert_same(pickle.loads(pickle.dumps(found)), vectors)

    @pytest.mark.parametrize("name", ["toy", "toy.", "link", "dangling"])
    def test_a_bare_name_is_none(self, name):
        Path("link").symlink_to("toy")
        Path("dangling").symlink_to("nowhere")
        with pytest.raises(
            WordVectorsError, match=rf"'{name}' lies in .*: write './{name}' to mean it"
        ):
            WordVectors.load(name)

    def test_what_is_saved_under_a_bare_name_is_found_again(self, vectors):
        assert_same(vectors.save("kept"), vectors)
        assert_same(vectors.save("~/fresh"), vectors)
        assert sorted(p.name for p in Path("fresh").iterdir())

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            "toy\0",
            "./toy\0",
            "x" * 5000,
            "./" + "x" * 5000,
            "~nobody-here/toy",
            "~\0/x",
        ],
    )
    def test_what_no_file_can_be_called_is_an_error_like_others(self, name):
        with pytest.raises(WordVectorsError, match=r"There (is no|are no)"):
            WordVectors.load(name)

    @pytest.mark.parametrize("name", [b"toy", 3, None, ["toy"]])
    def test_what_is_neither_a_name_nor_a_path(self, name):
        with pytest.raises(InvalidParameterError, match="name of word vectors is exp"):
            WordVectors.load(name)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(location, "find_packaged", lambda *names: None)
    with pytest.raises(WordVectorsError, match=r"sktransfer\[models\]"):
        WordVectors.load("glove-6b-50d")


@pytest.mark.parametrize("limit", [0, -1, 2.5, "9", True])
def test_a_limit_that_is_no_number_of_words(limit, tmp_path):
    with pytest.raises(InvalidParameterError, match=f"limit={limit!r}"):
        WordVectors.load(tmp_path, limit=limit)


def test_an_unknown_dtype(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"dtype=.int8., but one of "):
        WordVectors.load(tmp_path, dtype="int8")


class TestCache:
    @pytest.fixture
    def path(self, vectors, tmp_path, monkeypatch):
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path / "cache"))
        path = tmp_path / "toy.txt"
        vectors.save(path, format="word2vec")
        return path

    @pytest.fixture
    def n_reads(self, monkeypatch):
        reads = []
        read = location.read_source

        def count(*arguments):
            reads.append(arguments)
            return read(*arguments)

        monkeypatch.setattr(location, "read_source", count)
        return reads

    def test_a_file_is_parsed_once(self, path, n_reads):
        for _ in range(3):
            vectors = WordVectors.load(path)
        assert not vectors.matrix.flags.writeable
        assert n_reads == []

    def test_a_copy_of_the_file_is_not_parsed(self, path, n_reads, vectors):
        copy = path.with_name("copy.txt")
        copy.write_bytes(path.read_bytes())
        assert_same(WordVectors.load(copy), vectors)
        os.utime(path, (1, 1))
        assert_same(WordVectors.load(path), vectors)
        assert n_reads == []

    def test_another_content_is_parsed(self, path, n_reads):
        path.write_text("2 1\na 1\nb 2\n")
        assert WordVectors.load(path).words == ("a", "b")
        assert len(n_reads) == 1

    def test_two_at_once_parse_one_after_the_other(self, path, n_reads):
        path.write_text("2 1\na 1\nb 2\n")
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(WordVectors.load, [path] * 4))
        assert {vectors.words for vectors in found} == {("a", "b")}
        assert len(n_reads) == 1

    def test_options_are_kept_apart(self, path):
        assert len(WordVectors.load(path, limit=2)) == 2
        assert len(WordVectors.load(path)) > 2
        assert WordVectors.load(path, dtype="float16").matrix.dtype == np.float16
        assert WordVectors.load(path).matrix.dtype == np.float32

    def test_a_broken_file_leaves_nothing_behind(self, path, tmp_path):
        path.write_text("2 1\na 1\nb x\n")
        for _ in range(2):
            with pytest.raises(WordVectorsError, match="'x' as number 0"):
                WordVectors.load(path)
        tables = list((tmp_path / "cache/vectors").glob("*/vectors.json"))
        assert len(tables) == 1  # that of the whole file

    def test_a_table_of_another_format_is_named(self, vectors, tmp_path):
        vectors.save(tmp_path / "toy")
        facts = tmp_path / "toy/vectors.json"
        facts.write_text(facts.read_text().replace('"format": 2', '"format": 9'))
        with pytest.raises(WordVectorsError, match="has format 9, but this version"):
            WordVectors.load(tmp_path / "toy")

    @pytest.fixture
    def table(self, path, tmp_path):
        """The table that the cache holds of `path`."""
        (facts,) = (tmp_path / "cache").rglob("vectors.json")
        return facts.parent

    @pytest.mark.parametrize("way", ["cut", "zeros", "gone"])
    @pytest.mark.parametrize(
        "name", ["vectors.json", "matrix.bin", "proofs.bin", "letters.bin", "order.bin"]
    )
    def test_a_damaged_table_is_made_again(self, path, table, vectors, name, way):
        file = table / name
        if way == "cut":
            os.truncate(file, file.stat().st_size - 3)
        elif way == "zeros":
            file.write_bytes(bytes(file.stat().st_size))
        else:
            file.unlink()
        if (name, way) == ("vectors.json", "gone"):  # no table at all
            assert_same(WordVectors.load(path), vectors)
        else:
            with pytest.warns(CacheWarning, match="was made again from .*toy.txt, as"):
                assert_same(WordVectors.load(path), vectors, "good")
        assert_same(WordVectors.load(path), vectors)

    def test_so_is_one_that_is_damaged_while_it_is_open(self, path, table, vectors):
        found, other = WordVectors.load(path), WordVectors.load(path)
        os.truncate(table / "matrix.bin", 0)
        with pytest.warns(CacheWarning, match=r"made again.*matrix\.bin is damaged"):
            np.testing.assert_array_equal(found["good"], vectors["good"])
        # Who has it open too finds it made again.
        np.testing.assert_array_equal(other["good"], vectors["good"])

    def test_not_from_a_source_that_is_another_by_now(self, path, table):
        found = WordVectors.load(path)
        os.truncate(table / "matrix.bin", 0)
        path.write_text("1 1\na 1\n")
        with pytest.raises(WordVectorsError, match="has changed since: load the vec"):
            _ = found["good"]
        path.unlink()
        with pytest.raises(WordVectorsError, match=r"cannot be made again .*toy\.txt"):
            _ = found["good"]

    def test_a_table_under_another_name_is_none(self, path, table, vectors):
        other = path.with_name("other.txt")
        other.write_text("1 1\na 1\n")
        WordVectors.load(other)
        (theirs,) = set(table.parent.glob("*/vectors.json")) - {table / "vectors.json"}
        for file in theirs.parent.iterdir():
            (table / file.name).write_bytes(file.read_bytes())
        with pytest.warns(CacheWarning, match="other vectors than its name says"):
            assert_same(WordVectors.load(path), vectors)

    def test_what_changes_while_it_is_read_is_not_kept(
        self, path, table, tmp_path, monkeypatch
    ):
        path.write_text("2 1\na 1\nb 2\n")
        read = location.read_source

        def change_and_read(*arguments):
            path.write_text("2 1\na 1\nb 9\n")
            return read(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(location, "read_source", change_and_read)
            with pytest.raises(WordVectorsError, match=r"toy\.txt changed while it"):
                WordVectors.load(path)
        assert list((tmp_path / "cache").rglob("vectors.json")) == [table / FACTS]
        path.write_text("2 1\na 1\nb 2\n")
        assert WordVectors.load(path)["b"] == 2

    @pytest.mark.parametrize("format", ["sktransfer", "word2vec"])
    def test_a_source_that_cannot_be_read_is_said(
        self, path, format, monkeypatch, vectors
    ):
        place = path.with_name("unreadable")
        vectors.save(place, format=format)
        monkeypatch.setattr(Path, "open", _refuse)
        with pytest.raises(WordVectorsError, match=r"unreadable.*Permission denied"):
            WordVectors.load(place, limit=3)

    @pytest.mark.parametrize("what", ["pipe", "device"])
    def test_what_is_no_file_is_not_waited_for(self, tmp_path, what):
        place = tmp_path / "odd"
        if what == "pipe":
            os.mkfifo(place)
        else:
            place.symlink_to("/dev/zero")
        with pytest.raises(WordVectorsError, match="neither a file nor a folder"):
            WordVectors.load(place)

    def test_without_a_cache_the_file_is_read_every_time(
        self, path, vectors, monkeypatch, tmp_path
    ):
        (tmp_path / "file").touch()
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path / "file" / "below"))
        with pytest.warns(CacheWarning, match="cache folder cannot be written"):
            found = WordVectors.load(path)
        assert_same(found, vectors)


def _refuse(path, *arguments, **named):
    raise PermissionError(13, "Permission denied", str(path))


class TestNotes:
    """Notes on files: what is not as it was written is as if it were not there."""

    @pytest.fixture
    def path(self, vectors, tmp_path, monkeypatch):
        monkeypatch.setenv("SKTRANSFER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(location, "_SETTLED", -1)
        vectors.save(tmp_path / "toy.txt", format="word2vec")
        WordVectors(["a"], [[1.0]]).save(tmp_path / "other.txt", format="word2vec")
        return tmp_path / "toy.txt"

    @pytest.fixture
    def notes(self, path, tmp_path):
        return sorted((tmp_path / "cache/vectors/sources").iterdir())

    def test_they_spare_the_checksum(self, path, notes, vectors, monkeypatch):
        assert len(notes) == 2
        monkeypatch.delattr(location, "_checksum")
        assert_same(WordVectors.load(path), vectors)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"\xff\xfe",
            b"[" * 10**5,
            b"9" * 5000,
            bytes(2**21),
            b'{"key": "../../x", "state": []}',
            b'{"key": "/etc", "state": [], "proof": "x"}',
            b'{"key": 3, "state": null, "proof": NaN}',
            "other",
            "folder",
            "link",
        ],
        ids=str,
    )
    def test_damaged_ones_are_made_again(self, path, notes, vectors, content):
        whole = [note.read_bytes() for note in notes]
        for note, other in zip(notes, whole[::-1], strict=True):
            note.unlink()
            if content == "folder":
                (note / "within").mkdir(parents=True)
            elif content == "link":
                note.symlink_to("/dev/zero")
            else:
                note.write_bytes(other if content == "other" else content)
        for _ in range(2):
            assert_same(WordVectors.load(path), vectors)
        if content != "folder":
            assert any(n.is_file() and n.read_bytes() in whole for n in notes)

    @pytest.mark.parametrize("key", ["../../x", "/etc/passwd", "f" * 32, None, 3])
    def test_no_key_leads_out_of_the_cache(self, path, notes, vectors, key, tmp_path):
        for note in notes:
            content = json.loads(note.read_text()) | {"key": key}
            note.write_text(json.dumps(content))
        assert_same(WordVectors.load(path), vectors)
        assert not list(tmp_path.glob("x*"))

    def test_a_file_in_the_place_of_their_folder_costs_time_only(
        self, path, notes, vectors
    ):
        for note in notes:
            note.unlink()
        notes[0].parent.rmdir()
        notes[0].parent.touch()
        assert_same(WordVectors.load(path), vectors)

    def test_there_are_none_on_files_that_have_just_changed(
        self, path, notes, monkeypatch
    ):
        monkeypatch.setattr(location, "_SETTLED", 10**10)
        times = path.stat().st_mtime_ns
        for word in "xyz":
            path.write_text(f"1 1\n{word} 1\n")
            os.utime(path, ns=(times, times))
            assert WordVectors.load(path).words == (word,)


class TestWordsOfText:
    def test_spaces_in_the_first_word_do_not_make_a_file_binary(self, tmp_path):
        made = WordVectors(["the film", "good", " so-so"], np.arange(6).reshape(3, 2))
        assert_same(made.save(tmp_path / "words.txt", "word2vec"), made)

    @pytest.mark.parametrize("format", ["word2vec", "word2vec-binary"])
    def test_half_a_character_is_refused(self, tmp_path, format):
        made = WordVectors(["good", "\ud83d"], np.arange(4).reshape(2, 2))
        with pytest.raises(WordVectorsError, match=r"'\\ud83d' cannot be written as"):
            made.save(tmp_path / "words", format)
