"""Neither a name nor a saved folder of a stranger's opens a pickle, or takes a file."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from sktransfer.bundles import kinds, sklearn_parts
from sktransfer.bundles.folders import write_bundle
from sktransfer.bundles.sklearn_parts import read_part
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    CheckpointError,
    ModelFolderError,
    SktransferError,
    WordVectorsError,
)
from sktransfer.packages import PACKAGED, PackagedResource
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.files.proofs import seal
from sktransfer.words.saving import KINDS
from sktransfer.words.training import WordVectorTrainer
from sktransfer.words.vectors import WordVectors
from sktransfer.words.weighting import WordWeights

TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot", "fun", "boring"] * 3
LABELS = ["pos", "neg"] * 9
GLOVE = "glove-6b-50d"


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.fixture
def marker(tmp_path):
    """Path that exists once an `evil` pickle was opened; nothing may open one."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "a pickle was opened"


@pytest.fixture
def evil(marker):
    """The bytes of a pickle that makes `marker`."""
    return pickle.dumps(Evil(marker))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def glove(tmp_path, monkeypatch, toy_words, toy_matrix):
    """Toy vectors in a package, under the name of the real ones."""
    place = tmp_path / "site" / "carrier"
    place.mkdir(parents=True)
    vectors = WordVectors(toy_words, toy_matrix).save(place / "data")
    monkeypatch.syspath_prepend(str(place.parent))
    resource = PackagedResource(GLOVE, "vectors", "carrier==1", "carrier", "data")
    monkeypatch.setitem(PACKAGED, GLOVE, resource)
    return vectors


@pytest.fixture
def no_glove(monkeypatch):
    """The package that carries the vectors is not installed."""
    resource = PackagedResource(GLOVE, "vectors", "carrier==1", "no_such", "data")
    monkeypatch.setitem(PACKAGED, GLOVE, resource)


@pytest.fixture
def pickled_bert(tiny_bert, tmp_path):
    """A copy of the tiny BERT whose weights are PyTorch's pickle."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "pickled"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture
def opened(monkeypatch):
    """What PyTorch was asked to unpickle."""
    asked = []
    unpickle = torch.load

    def note(file, *arguments, **named):
        asked.append(Path(file).name)
        return unpickle(file, *arguments, **named)

    monkeypatch.setattr(torch, "load", note)
    return asked


def _as_items(packed):
    """A dict as the first version of the format had it, which is easier to change."""
    if packed.get("is") == "dict" and "keys" in packed:
        pairs = zip(packed["keys"], packed["values"], strict=True)
        return {"is": "dict", "items": list(map(list, pairs))}
    return packed


def forge(folder, change):
    """Change the content of a saved model, and the digest with it."""
    path = folder / "model.json"
    content = json.loads(path.read_text(), object_hook=_as_items)
    change(content["objects"])
    path.write_text(json.dumps(content))
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["files"]["model.json"] = digest
    (folder / "manifest.json").write_text(json.dumps(manifest))


def object_of(objects, name):
    (found,) = [one for one in objects if one["type"].endswith(name)]
    return found["fields"]


class TestNames:
    def test_a_file_does_not_stand_for_packaged_vectors(self, here, evil, glove):
        (here / GLOVE).write_bytes(evil)
        featurizer = WordVectorFeaturizer().fit(TEXTS)
        assert featurizer.vectors_.digest == glove.digest
        again = pickle.loads(pickle.dumps(featurizer))
        assert again.vectors_.digest == glove.digest

    @pytest.mark.usefixtures("no_glove")
    def test_not_even_where_the_package_is_missing(self, here, evil):
        (here / GLOVE).write_bytes(evil)
        with pytest.raises(WordVectorsError, match=r"carrier==1, which is not inst"):
            WordVectorFeaturizer().fit(TEXTS)

    @pytest.mark.parametrize("installed", [True, False])
    def test_the_folder_of_a_model_does_not_name_its_vectors(
        self, here, evil, glove, monkeypatch, request, installed
    ):
        featurizer = WordVectorFeaturizer(GLOVE).fit(TEXTS)
        save(featurizer, here / "model")
        monkeypatch.chdir(here / "model")
        Path(GLOVE).write_bytes(evil)
        if installed:
            np.testing.assert_array_equal(
                load(".").fit(TEXTS).transform(TEXTS), featurizer.transform(TEXTS)
            )
            return
        request.getfixturevalue("no_glove")
        with pytest.raises(WordVectorsError, match="which is not installed"):
            load(".")

    @pytest.mark.parametrize("installed", [True, False])
    def test_nor_does_the_command_that_predicts(
        self, here, evil, glove, monkeypatch, request, installed
    ):
        from typer.testing import CliRunner

        from sktransfer.cli.app import app

        model = make_pipeline(WordVectorFeaturizer(), LogisticRegression())
        save(model.fit(TEXTS, LABELS), here / "model")
        monkeypatch.chdir(here / "model")
        Path(GLOVE).write_bytes(evil)
        (here / "in.csv").write_text("text\na good film\n")
        if not installed:
            request.getfixturevalue("no_glove")
        done = CliRunner().invoke(app, ["predict", ".", str(here / "in.csv")])
        assert (done.exit_code == 0) == installed, done.stderr

    def test_nor_does_the_command_that_compares(self, here, evil, glove):
        from typer.testing import CliRunner

        from sktransfer.cli.app import app

        (here / GLOVE).write_bytes(evil)
        rows = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
        (here / "in.csv").write_text("\n".join(["text,label", *rows]))
        options = ["--strategies", "word_vectors", "--folds", "2", "--jobs", "1"]
        done = CliRunner().invoke(app, ["compare", "in.csv", "--no-model", *options])
        assert done.exit_code == 0, done.stderr
        assert "Failed" not in done.stdout

    def test_what_claims_to_be_the_package_is_no_pickle_either(self, glove, evil):
        place = PACKAGED[GLOVE].locate()
        shutil.rmtree(place)
        place.write_bytes(evil)
        with pytest.raises(WordVectorsError, match="is a pickle"):
            WordVectorFeaturizer(np.str_(GLOVE)).fit(TEXTS)

    @pytest.mark.parametrize(
        "name",
        [
            GLOVE + ".",
            GLOVE + " ",
            " " + GLOVE,
            GLOVE.upper(),
            GLOVE + "\n",
            GLOVE + "/",
            "~/" + GLOVE,
            "file://" + GLOVE,
            "https://example.org/" + GLOVE,
            "./" + GLOVE,
            ".",
            "vectors.kv",
            "link",
            Path(GLOVE),
        ],
    )
    def test_whatever_a_name_looks_like_no_pickle_is_opened(
        self, here, evil, glove, monkeypatch, name
    ):
        monkeypatch.setenv("HOME", str(here))
        for file in (GLOVE, GLOVE + ".", GLOVE + " ", "vectors.kv", GLOVE.upper()):
            (here / file).write_bytes(evil)
        (here / "link").symlink_to(GLOVE)
        with pytest.raises(SktransferError):
            WordVectorFeaturizer(name).fit(TEXTS)
        with pytest.raises(SktransferError):
            WordVectors.load(name)


class TestPickledVectors:
    @pytest.fixture
    def kv(self, tmp_path, evil):
        (tmp_path / "evil.kv").write_bytes(evil)
        return tmp_path / "evil.kv"

    def test_the_error_says_what_a_pickle_does_and_how_to_open_it(self, kv):
        for opening in (WordVectors.load, lambda p: WordVectorFeaturizer(p).fit(TEXTS)):
            with pytest.raises(WordVectorsError, match=r"is a pickle.*runs.*format='g"):
                opening(str(kv))

    @pytest.mark.parametrize("pack", [gzip.compress, lambda data: data])
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_no_protocol_is_opened_packed_or_not(
        self, tmp_path, marker, pack, protocol
    ):
        for name in ("toy.vec", "toy.gz", "toy.bin", "toy.npy"):
            path = tmp_path / name
            path.write_bytes(pack(pickle.dumps(Evil(marker), protocol)))
            with pytest.raises(WordVectorsError):
                WordVectors.load(path)

    @pytest.mark.parametrize("into", ["array", "zip"])
    def test_an_array_of_objects_is_not_opened(self, tmp_path, marker, into):
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = tmp_path / "kumo"
        folder.mkdir()
        pq.write_table(pa.table({"index": ["a", "b"]}), folder / "toy_index.parquet")
        objects = np.array([Evil(marker), Evil(marker)], object)
        with (folder / "toy_emb.npy").open("wb") as file:
            if into == "array":
                np.save(file, objects, allow_pickle=True)
            else:
                np.savez(file, objects)
        with pytest.raises(WordVectorsError, match=r"toy_emb\.npy"):
            WordVectors.load(folder)

    @pytest.mark.parametrize("dtype", ["O", "|V8", "int64", ["<f4"]])
    def test_a_table_of_anything_but_numbers_is_not_opened(
        self, tmp_path, toy_words, toy_matrix, dtype
    ):
        WordVectors(toy_words, toy_matrix).save(tmp_path / "toy")
        facts = json.loads((tmp_path / "toy/vectors.json").read_text())
        facts |= {"dtype": dtype}
        sealed = facts | {"seal": seal(facts)}
        (tmp_path / "toy/vectors.json").write_text(json.dumps(sealed))
        with pytest.raises(WordVectorsError, match="float32 or float16"):
            WordVectors.load(tmp_path / "toy")

    def test_arrays_beside_fasttexts_file_are_not_opened(self, tmp_path, marker):
        from gensim.models import FastText
        from gensim.models.fasttext import save_facebook_model

        model = FastText([["good", "film"]] * 9, vector_size=4, min_count=1, bucket=9)
        save_facebook_model(model, str(tmp_path / "toy.bin"))
        objects = np.array([Evil(marker)], object)
        np.save(tmp_path / "toy.bin.vectors.npy", objects, allow_pickle=True)
        assert len(WordVectors.load(tmp_path / "toy.bin")) == 2


class TestForgedFolders:
    @pytest.fixture
    def folder(self, tmp_path, toy_words, toy_matrix):
        vectors = WordVectors(toy_words, toy_matrix)
        save(WordVectorFeaturizer(vectors).fit(TEXTS), tmp_path / "model")
        return tmp_path / "model"

    @pytest.fixture
    def written(self, tmp_path, evil):
        """Ways in which a folder may spell the path of a pickle."""
        path = tmp_path / "evil.kv"
        path.write_bytes(evil)
        (path.parent / GLOVE).write_bytes(evil)
        return [
            str(path),
            {"is": "path", "value": str(path)},
            {"is": "path", "value": GLOVE},
            {"is": "scalar", "dtype": "<U200", "value": str(path)},
        ]

    def test_their_vectors_are_never_a_pickle(
        self, folder, written, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        for value in written:

            def change(objects, value=value):
                fields = object_of(objects, "WordVectorFeaturizer")
                fields["parameters"]["items"] = [
                    [key, value if key == "vectors" else old]
                    for key, old in fields["parameters"]["items"]
                ]

            forge(folder, change)
            loaded = load(folder)
            for model in (loaded, clone(loaded)):
                with pytest.raises(WordVectorsError, match="is a pickle"):
                    model.fit(TEXTS)

    def test_nor_are_vectors_that_claim_to_be_packaged(
        self, folder, written, tmp_path, monkeypatch, no_glove
    ):
        monkeypatch.chdir(tmp_path)
        for value in [*written, GLOVE]:

            def change(objects, value=value):
                fields = object_of(objects, "words.WordVectors")
                fields.clear()
                fields["packaged"] = [value, None, "float32", "0" * 64]

            forge(folder, change)
            with pytest.raises((ModelFolderError, WordVectorsError)):
                load(folder)

    def test_nor_is_what_a_trainer_starts_from(self, tmp_path, written):
        trainer = WordVectorTrainer(vector_size=4, epochs=1, min_count=1)
        save(WordVectorFeaturizer(trainer).fit(TEXTS), tmp_path / "model")

        def change(objects):
            fields = object_of(objects, "WordVectorTrainer")
            fields["parameters"]["items"] += [["start_from", written[0]]]

        forge(tmp_path / "model", change)
        with pytest.raises(WordVectorsError, match="is a pickle"):
            load(tmp_path / "model").fit(TEXTS)

    @pytest.fixture
    def cached(self, tmp_path, evil, toy_words, toy_matrix):
        """A folder, and a cache in which joblib finds pickles for the same texts."""
        steps = [WordVectorFeaturizer(WordVectors(toy_words, toy_matrix))]
        model = make_pipeline(*steps, LogisticRegression(), memory=str(tmp_path / "c"))
        save(model.fit(TEXTS, LABELS), tmp_path / "model")
        results = list((tmp_path / "c").rglob("output.pkl"))
        assert results
        for path in results:
            path.write_bytes(evil)
        return tmp_path / "model"

    def test_nor_is_what_joblib_keeps(self, cached, tmp_path):
        def change(objects):
            fields = object_of(objects, "pipeline:Pipeline")
            fields["fitted"]["items"].append(["memory", str(tmp_path / "c")])

        forge(cached, change)
        with pytest.raises(ModelFolderError, match="'memory'"):
            load(cached).fit(TEXTS, LABELS)

    @pytest.mark.parametrize("nested", [False, True])
    @pytest.mark.parametrize("key", ["memory", "tfidfvectorizer__memory"])
    @pytest.mark.parametrize("ours", [False, True])
    def test_nor_what_a_search_would_have_joblib_keep(
        self, tmp_path, key, nested, ours, toy_words, toy_matrix
    ):
        words = WordVectorFeaturizer(WordVectors(toy_words, toy_matrix))
        first = words if ours else TfidfVectorizer()
        inner = make_pipeline(first, LogisticRegression())
        search = GridSearchCV(inner, {"logisticregression__C": [1.0]}, cv=2)
        grid = {key: [str(tmp_path / "cache")]}
        search.param_grid = {"estimator__param_grid": [grid]} if nested else [grid]
        refused_both_ways(search, tmp_path / "model")

    def test_nor_are_weights_that_a_search_would_name(
        self, tiny_bert, pickled_bert, tmp_path
    ):
        inner = make_pipeline(BertFeaturizer(tiny_bert), LogisticRegression())
        search = GridSearchCV(inner, {"logisticregression__C": [1.0]}, cv=2)
        search.param_grid = {"bertfeaturizer__model": np.array([str(pickled_bert)])}
        refused_both_ways(search, tmp_path / "model")

    def test_a_search_may_choose_among_steps_and_packages(self, tmp_path):
        steps = [("model", LogisticRegression())]
        grid = {"model": ["passthrough", LogisticRegression(C=2.0)]}
        search = GridSearchCV(Pipeline(steps), grid, cv=2)
        for value in (grid, {"x__model": ["all-MiniLM-L6-v2"], "memory": [None]}):
            search.param_grid = value
            write_bundle(tmp_path / "model", search, "")
            assert list(load(tmp_path / "model").param_grid) == list(value)

    def test_a_cache_in_a_part_of_scikit_learns_is_found_wherever_it_is(self, tmp_path):
        inner = make_pipeline(TfidfVectorizer(), memory=str(tmp_path / "cache"))
        hidden = np.empty(1, object)
        hidden[0] = inner
        model = LogisticRegression()
        model.more_ = {"deep": [hidden]}
        with pytest.raises(ModelFolderError, match="a folder of its own choice"):
            read_part(skops.io.dumps(model), "part-0.skops")


class TestForgedWords:
    """Numbers of a saved model that lead to places in memory, or to compiled code."""

    LETTERS = np.frombuffer(b"goodbad", np.uint8)

    @pytest.mark.parametrize(
        ("ends", "message"),
        [
            ([4, 8], "from 0 to 8"),
            ([4, 6], "from 0 to 6"),
            ([-1, 7], "word 0 end before it begins"),
            ([2**62, 7], "word 1 end before it begins"),
            ([4.0, 7.0], "arrays of uint8 of 1 dimensions and float64"),
            ([[4, 7]], "int64 of 2 dimensions"),
        ],
    )
    def test_ends_of_words(self, ends, message):
        fields = {"letters": self.LETTERS, "ends": np.array(ends)}
        rest = {"matrix": np.eye(2), "values": np.ones(2), "subwords": None}
        rest |= {"unseen": 1.0, "shared": False}
        for kind in (WordVectors, WordWeights):
            with pytest.raises(SktransferError, match=message):
                KINDS[kind].put_together(fields | rest)

    @pytest.mark.parametrize("values", [[1.0], [1.0, np.nan], [1.0, 2.0, 3.0]])
    def test_weights(self, values):
        fields = {"letters": self.LETTERS, "ends": np.array([4, 7])}
        fields |= {"values": np.array(values), "unseen": 1.0, "shared": False}
        with pytest.raises(ModelFolderError, match="a finite one for each is expected"):
            KINDS[WordWeights].put_together(fields)

    @pytest.mark.parametrize(
        "changes",
        [
            {"n_buckets": 0},
            {"n_buckets": 2**32},
            {"shortest": -1},
            {"longest": 2**40},
            {"longest": 6.0},
            {"shortest": None},
        ],
    )
    def test_pieces_of_words(self, changes):
        facts = {"n_buckets": 5, "shortest": 3, "longest": 6} | changes
        fields = {"letters": self.LETTERS, "ends": np.array([4, 7])}
        fields |= {"matrix": np.eye(2), "subwords": [np.ones((5, 2), "f4"), facts]}
        with pytest.raises(WordVectorsError, match="but a whole number from"):
            KINDS[WordVectors].put_together(fields)


class TestPickledWeights:
    @pytest.mark.parametrize("way", ["legacy", "zip"])
    def test_no_code_in_them_is_run(self, pickled_bert, marker, way):
        torch.save(
            {"weight": Evil(marker)},
            pickled_bert / "pytorch_model.bin",
            _use_new_zipfile_serialization=way == "zip",
        )
        with pytest.raises(CheckpointError, match="cannot be loaded"):
            BertFeaturizer(pickled_bert, device="cpu").fit_transform(TEXTS)

    def test_they_are_read_where_the_caller_names_them(self, pickled_bert, tiny_bert):
        found = BertFeaturizer(pickled_bert, dtype="float32", device="cpu", cache=None)
        same = BertFeaturizer(tiny_bert, dtype="float32", device="cpu", cache=None)
        np.testing.assert_allclose(
            found.fit_transform(TEXTS), same.fit_transform(TEXTS), atol=1e-6
        )

    def test_a_model_above_them_is_not_saved(self, pickled_bert, tmp_path):
        featurizer = BertFeaturizer(pickled_bert, device="cpu").fit(TEXTS)
        with pytest.raises(ModelFolderError, match=r"pickle.*save_pretrained"):
            save(featurizer, tmp_path / "model")

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_a_folder_does_not_have_them_opened(
        self, tiny_bert, pickled_bert, tmp_path, opened, strategy
    ):
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu")
        small = {"hidden_layer_sizes": (2,), "max_epochs": 1, "random_state": 0}
        model = TransferSentimentClassifier(encoder, strategy, **small)
        save(model.fit(TEXTS, LABELS), tmp_path / "model")
        path = tmp_path / "model" / "model.json"
        digests = [find_digest(tiny_bert), find_digest(pickled_bert)]

        def change(objects):
            text = json.dumps(objects).replace(tiny_bert, str(pickled_bert))
            objects[:] = json.loads(text.replace(*digests))

        assert path.read_text().count(tiny_bert) > 1
        forge(tmp_path / "model", change)
        with pytest.raises(ModelFolderError, match="pickle"):
            load(tmp_path / "model")
        assert opened == []

    def test_not_even_by_a_later_fit(self, tiny_bert, pickled_bert, tmp_path, opened):
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu")
        model = TransferSentimentClassifier(encoder, max_epochs=1, random_state=0)
        save(model.fit(TEXTS, LABELS), tmp_path / "model")

        def change(objects):
            for one in objects:
                if one["type"] == "encoders.BertFeaturizer":
                    fields = one["fields"]
                    if fields["fitted"] is None:
                        items = dict(fields["parameters"]["items"])
                        items |= {"model": str(pickled_bert)}
                        fields["parameters"]["items"] = list(map(list, items.items()))

        forge(tmp_path / "model", change)
        with pytest.raises(ModelFolderError, match="pickle"):
            load(tmp_path / "model")
        assert opened == []

    @pytest.mark.parametrize("decoy", ["other", "index", "adapter", "config"])
    def test_safetensors_beside_them_do_not_hide_them(
        self, pickled_bert, tiny_bert, tmp_path, opened, decoy
    ):
        folder = pickled_bert
        whole = Path(tiny_bert) / "model.safetensors"
        if decoy == "other":
            shutil.copy(whole, folder / "other.safetensors")
        elif decoy == "index":
            names = dict.fromkeys(load_file(whole), "pytorch_model.bin")
            index = {"metadata": {}, "weight_map": names}
            path = folder / "model.safetensors.index.json"
            path.write_text(json.dumps(index))
        else:
            shutil.copy(whole, folder / "model.safetensors")
            config = json.loads((folder / "config.json").read_text())
            # Not what the fast way reads, so that transformers has to.
            config["hidden_act"] = "relu"
            if decoy == "config":
                config["transformers_weights"] = "adapter_model.bin"
            (folder / "config.json").write_text(json.dumps(config))
            (folder / "pytorch_model.bin").rename(folder / "adapter_model.bin")
            adapter = {"peft_type": "LORA", "r": 2, "target_modules": ["query"]}
            if decoy == "adapter":
                (folder / "adapter_config.json").write_text(json.dumps(adapter))
        featurizer = BertFeaturizer(folder, device="cpu", cache=None)
        with pytest.raises((ModelFolderError, CheckpointError)):
            save(featurizer.fit(TEXTS), tmp_path / "model")
        assert opened == []


def refused_both_ways(estimator, folder):
    """Neither written to a folder, nor made from one that was forged."""
    with pytest.raises(ModelFolderError, match="a folder of its own choice"):
        write_bundle(folder, estimator, "")
    with pytest.MonkeyPatch.context() as patch:
        for module in (kinds, sklearn_parts):
            patch.setattr(module, "check_choices", lambda value: None)
        write_bundle(folder, estimator, "")
    with pytest.raises(ModelFolderError, match="a folder of its own choice"):
        load(folder)


def find_digest(folder):
    from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint

    return find_checkpoint(str(folder)).digest
