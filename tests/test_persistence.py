from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import MultinomialNB as NB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from skorch.callbacks import Callback

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    CheckpointError,
    InvalidParameterError,
    ModelFolderError,
    StaleFitError,
    TransferWarning,
)
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.training import WordVectorTrainer
from sktransfer.words.vectors import WordVectors
from tests.conftest import build_tiny_bert

TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot", "fun", "boring"] * 3
LABELS = ["pos", "neg"] * 9


@pytest.fixture
def bert(tiny_bert):
    """Featurizer of the tiny BERT."""
    return BertFeaturizer(tiny_bert, dtype="float32", device="cpu")


@pytest.fixture
def vectors(toy_words, toy_matrix):
    """Toy word vectors."""
    return WordVectors(toy_words, toy_matrix)


@pytest.fixture
def make(bert):
    """Classifiers trained in an instant."""

    def make(encoder=bert, **parameters):
        defaults = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
        return TransferSentimentClassifier(encoder, **defaults | parameters)

    return make


@pytest.fixture
def again(tmp_path):
    """What comes back from a folder."""

    def again(estimator, **named):
        save(estimator, tmp_path / "model", **named)
        return load(tmp_path / "model")

    return again


class TestThereAndBack:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"pooling": ("mean", "max"), "layers": (-1, -2), "normalize": True},
            {"long_text": "window", "max_length": 8, "prefix": "query: "},
        ],
    )
    def test_a_bert_featurizer_gives_the_same_vectors(self, bert, again, parameters):
        featurizer = bert.set_params(**parameters).fit(TEXTS)
        loaded = again(featurizer)
        np.testing.assert_array_equal(
            loaded.transform(TEXTS), featurizer.transform(TEXTS)
        )
        assert loaded.get_params() == featurizer.get_params()

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"weighting": "idf", "oov": "random", "random_state": 3},
            {"weighting": "sif", "n_components_removed": 1, "pooling": ("mean", "max")},
        ],
    )
    def test_a_word_featurizer_gives_the_same_vectors(self, vectors, again, parameters):
        featurizer = WordVectorFeaturizer(vectors, **parameters).fit(TEXTS)
        texts = [*TEXTS, "an unseen word"]
        np.testing.assert_array_equal(
            again(featurizer).transform(texts), featurizer.transform(texts)
        )

    def test_vectors_trained_on_the_spot_come_along(self, again):
        trainer = WordVectorTrainer(vector_size=4, epochs=1, min_count=1)
        featurizer = WordVectorFeaturizer(trainer).fit(TEXTS)
        loaded = again(featurizer)
        np.testing.assert_array_equal(
            loaded.transform(TEXTS), featurizer.transform(TEXTS)
        )
        assert loaded.vectors.vector_size == 4

    def test_vectors_of_a_file_come_along_and_the_file_may_go(
        self, vectors, tmp_path, again
    ):
        path = tmp_path / "toy.txt"
        vectors.save(path, format="word2vec")
        featurizer = WordVectorFeaturizer(str(path)).fit(TEXTS)
        expected = featurizer.transform(TEXTS)
        save(featurizer, tmp_path / "model")
        path.unlink()
        loaded = load(tmp_path / "model")
        np.testing.assert_array_equal(loaded.transform(TEXTS), expected)
        assert str(tmp_path) not in (tmp_path / "model" / "model.json").read_text()

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"strategy": "partial", "n_trainable_layers": 1},
            {"strategy": "fine_tune", "train_embeddings": True, "dtype": "float32"},
            {"strategy": "gradual", "max_epochs": 2},
            {"strategy": "lora", "lora_rank": 2},
            {"strategy": "contrastive", "hidden_layer_sizes": ()},
            {"hidden_layer_sizes": (), "scale_features": False},
            {"calibrate": True, "early_stopping": True, "validation_fraction": 0.4},
        ],
    )
    def test_a_classifier_decides_the_same(self, make, again, parameters):
        model = make(**parameters).fit(TEXTS, LABELS)
        loaded = again(model)
        np.testing.assert_array_equal(
            loaded.predict_proba(TEXTS), model.predict_proba(TEXTS)
        )
        assert loaded.predict(TEXTS).tolist() == model.predict(TEXTS).tolist()
        assert loaded.temperature_ == model.temperature_
        assert loaded.n_trainable_parameters_ == model.n_trainable_parameters_
        assert [row["train_loss"] for row in loaded.history_] == [
            row["train_loss"] for row in model.history_
        ]

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_a_classifier_on_word_vectors_decides_the_same(
        self, make, vectors, again, strategy
    ):
        encoder = WordVectorFeaturizer(vectors, weighting="idf")
        model = make(encoder, strategy=strategy).fit(TEXTS, LABELS)
        texts = [*TEXTS, "terrible unseen camera"]
        np.testing.assert_array_equal(
            again(model).predict_proba(texts), model.predict_proba(texts)
        )

    def test_a_classifier_of_named_numbers_keeps_the_names(self, make, again):
        import pandas as pd

        table = pd.DataFrame({"length": range(18), "stars": [5, 1] * 9}, dtype=float)
        model = make().fit(table, LABELS)
        loaded = again(model)
        np.testing.assert_array_equal(
            loaded.predict_proba(table), model.predict_proba(table)
        )
        with pytest.raises(ValueError, match="feature names"):
            loaded.predict(table.rename(columns={"stars": "words"}))

    @pytest.mark.parametrize(
        "labels", [[0, 1, 2] * 6, [True, False] * 9, list("abc") * 6]
    )
    def test_labels_of_any_type_come_back(self, make, again, labels):
        model = make().fit(TEXTS, labels)
        loaded = again(model)
        assert loaded.classes_.dtype == model.classes_.dtype
        assert loaded.predict(TEXTS).tolist() == model.predict(TEXTS).tolist()

    def test_training_can_go_on(self, make, again):
        model = make(warm_start=True).fit(TEXTS, LABELS)
        loaded = again(model)
        for either in (model, loaded):
            either.fit(TEXTS, LABELS).partial_fit(TEXTS, LABELS)
        np.testing.assert_allclose(
            loaded.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-6
        )

    def test_random_numbers_drawn_elsewhere_stay_as_they_are(self, make, again):
        model = make(strategy="fine_tune").fit(TEXTS, LABELS)
        state = torch.get_rng_state()
        again(model)
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize(
        "build",
        [
            lambda bert, make: make_pipeline(bert, LogisticRegression()),
            lambda bert, make: make_pipeline(TfidfVectorizer(), make()),
            lambda bert, make: make_pipeline(TfidfVectorizer(), LogisticRegression()),
            lambda bert, make: make_pipeline(
                FeatureUnion([("bert", bert), ("words", TfidfVectorizer())]),
                LogisticRegression(),
            ),
            lambda bert, make: TunedThresholdClassifierCV(make(), cv=2),
        ],
    )
    def test_what_contains_scikit_learn_comes_back(self, bert, make, again, build):
        model = build(bert, make).fit(TEXTS, LABELS)
        loaded = again(model)
        np.testing.assert_array_equal(
            loaded.predict_proba(TEXTS), model.predict_proba(TEXTS)
        )
        clone(loaded).fit(TEXTS, LABELS)

    @pytest.mark.parametrize("kind", ["calibrated", "voting", "stacking"])
    def test_scikit_learns_ensembles_around_ours_come_back(self, make, again, kind):
        named = [("ours", make()), ("counts", make_pipeline(TfidfVectorizer(), NB()))]
        model = {
            "calibrated": CalibratedClassifierCV(make(), cv=2),
            "voting": VotingClassifier(named, voting="soft"),
            "stacking": StackingClassifier(named, cv=2),
        }[kind].fit(TEXTS, LABELS)
        np.testing.assert_allclose(
            again(model).predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-6
        )

    def test_the_format_of_the_output_comes_along(self, bert, again):
        model = bert.set_output(transform="pandas").fit(TEXTS)
        assert list(again(model).transform(TEXTS[:2]).columns) == list(
            model.transform(TEXTS[:2]).columns
        )

    def test_random_vectors_for_unknown_words_come_back(self, vectors, again):
        options = {"oov": "random", "random_state": np.random.RandomState(0)}
        model = WordVectorFeaturizer(vectors, **options).fit(TEXTS)
        np.testing.assert_array_equal(
            again(model).transform(["good nonsense"]),
            model.transform(["good nonsense"]),
        )

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_vectors_that_were_passed_otherwise_come_along(
        self, vectors, make, again, tmp_path, strategy
    ):
        path = tmp_path / "vectors"
        vectors.save(path)
        encoder = WordVectorFeaturizer(path)
        model = make(encoder, strategy=strategy).fit(TEXTS, LABELS)
        shutil.rmtree(path)
        loaded = again(model)
        np.testing.assert_allclose(
            loaded.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-6
        )
        loaded.fit(TEXTS, LABELS)
        assert model.encoder.vectors == path

    def test_a_device_that_is_not_here_is_no_obstacle(self, bert, make, tmp_path):
        for model in (bert.fit(TEXTS), make().fit(TEXTS, LABELS)):
            folder = tmp_path / type(model).__name__
            save(model.set_params(device="cpu"), folder)
            text = (folder / "model.json").read_text()
            forged = text.replace('"cpu"', '"cuda:7"')
            assert forged != text
            (folder / "model.json").write_text(forged)
            manifest = json.loads((folder / "manifest.json").read_text())
            digest = hashlib.sha256(forged.encode()).hexdigest()
            manifest["files"]["model.json"] = digest
            (folder / "manifest.json").write_text(json.dumps(manifest))
            with pytest.warns(TransferWarning, match=r"device='cuda:7', which this"):
                assert load(folder).device == "auto"

    def test_a_search_that_chose_in_its_own_way_has_no_score(self, make, again):
        grid = {"hidden_layer_sizes": [(2,), (4,)]}
        search = GridSearchCV(make(), grid, cv=2, refit=lambda results: 1)
        best = again(search.fit(TEXTS, LABELS))
        assert best.hidden_layer_sizes == (4,)

    def test_of_a_search_the_best_is_saved_and_the_card_has_its_score(
        self, make, tmp_path
    ):
        search = GridSearchCV(make(), {"hidden_layer_sizes": [(), (3,)]}, cv=2)
        search.fit(TEXTS, LABELS)
        save(search, tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert loaded.hidden_layer_sizes == search.best_params_["hidden_layer_sizes"]
        np.testing.assert_array_equal(
            loaded.predict_proba(TEXTS), search.predict_proba(TEXTS)
        )
        card = (tmp_path / "model" / "README.md").read_text()
        assert f"| mean in the search | {search.best_score_:.4f} |" in card


class TensorBoardLike(Callback):
    """Holds what no file could: an open one."""

    def __init__(self):
        self.file = sys.stderr


class TestTheFolder:
    def test_it_holds_no_pickle(self, bert, make, tmp_path):
        model = make_pipeline(bert, LogisticRegression()).fit(TEXTS, LABELS)
        save(model, tmp_path / "model")
        for path in (tmp_path / "model").iterdir():
            with pytest.raises(
                (pickle.UnpicklingError, EOFError, ValueError, KeyError)
            ):
                pickle.loads(path.read_bytes())

    def test_only_what_learnt_is_in_it(self, make, tmp_path):
        model = make(strategy="partial", n_trainable_layers=1).fit(TEXTS, LABELS)
        save(model, tmp_path / "model")
        tensors = load_file(tmp_path / "model" / "tensors.safetensors")
        names = [name for name in tensors if "tuned" in name]
        assert names
        assert all(re.search(r"layer\.1\.", name) for name in names)

    def test_of_adapters_only_the_low_ranks_are_in_it(self, make, tmp_path):
        model = make(strategy="lora", lora_rank=2).fit(TEXTS, LABELS)
        save(model, tmp_path / "model")
        tensors = load_file(tmp_path / "model" / "tensors.safetensors")
        tuned = {n: t.shape for n, t in tensors.items() if "tuned" in n}
        assert tuned
        assert all(2 in shape for shape in tuned.values())
        assert all("lora" in name for name in tuned)

    def test_callbacks_and_a_source_in_memory_are_left_out(self, make, again):
        source = FrozenEstimator(make().fit(TEXTS, LABELS))
        model = make(init_from=source, callbacks=[TensorBoardLike()])
        model.fit(TEXTS, LABELS)
        loaded = again(model)
        assert loaded.init_from is None
        assert loaded.callbacks is None

    def test_a_cache_folder_of_this_machine_is_left_out(self, bert, tmp_path, again):
        featurizer = bert.set_params(cache=tmp_path / "cache").fit(TEXTS)
        assert again(featurizer).cache == "memory"

    def test_the_cache_of_a_pipeline_is_left_out(self, bert, tmp_path, again):
        steps = [("texts", bert), ("classifier", LogisticRegression())]
        model = Pipeline(steps, memory=str(tmp_path / "results")).fit(TEXTS, LABELS)
        assert again(model).memory is None
        assert "results" not in (tmp_path / "model" / "model.json").read_text()

    def test_a_model_may_not_choose_where_this_machine_writes(self, bert, tmp_path):
        folder = tmp_path / "model"
        save(bert.fit(TEXTS), folder)
        content = (folder / "model.json").read_text()
        forged = content.replace('"memory"', f'"{tmp_path}/anywhere"')
        assert forged != content
        (folder / "model.json").write_text(forged)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["model.json"] = hashlib.sha256(forged.encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelFolderError, match="a cache in a folder of its own"):
            load(folder)

    def test_weights_that_were_replaced_are_noticed(self, tmp_path):
        weights = build_tiny_bert(tmp_path / "weights")
        featurizer = BertFeaturizer(weights, device="cpu").fit(TEXTS)
        save(featurizer, tmp_path / "model")
        build_tiny_bert(tmp_path / "weights", seed=1)
        with pytest.raises(CheckpointError, match="not those that this model was fit"):
            load(tmp_path / "model")

    @pytest.mark.slow
    def test_a_process_that_never_saw_it_opens_it(self, make, tmp_path):
        model = make(strategy="fine_tune").fit(TEXTS, LABELS)
        save(model, tmp_path / "model")
        script = (
            "import sys, sktransfer\n"
            "print(sktransfer.load(sys.argv[1]).predict(['good film', 'awful']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "model")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str(model.predict(["good film", "awful"]))

    @pytest.mark.slow
    def test_word_vectors_open_without_torch(self, vectors, tmp_path):
        save(WordVectorFeaturizer(vectors).fit(TEXTS), tmp_path / "model")
        script = (
            "import sys\nfrom sktransfer.persistence import load\n"
            "load(sys.argv[1]).transform(['good'])\nassert 'torch' not in sys.modules"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "model")]
        subprocess.run(command, check=True)


class TestTheCard:
    def test_it_has_sizes_scores_parameters_and_versions(self, make, tmp_path):
        model = make(strategy="fine_tune").fit(TEXTS, LABELS)
        scores = {"accuracy | test": 0.875}
        save(model, tmp_path / "model", scores=scores, description="For reviews.")
        card = (tmp_path / "model" / "README.md").read_text()
        for expected in (
            "For reviews.",
            "| training rows | 18 |",
            "| rows of each class | 9, 9 |",
            "| classes | 2: neg, pos |",
            r"| accuracy \| test | 0.8750 |",
            "| `strategy` | `'fine_tune'` |",
            f"| torch | {version('torch')} |",
        ):
            assert expected in card

    def test_the_parts_of_a_pipeline_are_told_apart(self, bert, make, tmp_path):
        pipe = Pipeline([("features", bert), ("classifier", make())])
        save(pipe.fit(TEXTS, LABELS), tmp_path / "model")
        card = (tmp_path / "model" / "README.md").read_text()
        assert "## Parameters of BertFeaturizer" in card
        assert "## Parameters of TransferSentimentClassifier" in card


class TestRefusals:
    def test_what_is_not_fitted_is_not_saved(self, make, tmp_path):
        with pytest.raises(NotFittedError):
            save(make(), tmp_path / "model")
        assert not (tmp_path / "model").exists()

    def test_a_stale_fit_is_not_saved(self, bert, tmp_path):
        bert.fit(TEXTS).set_params(pooling="cls")
        with pytest.raises(StaleFitError, match="pooling"):
            save(bert, tmp_path / "model")

    def test_what_is_no_estimator_is_refused(self, tmp_path):
        with pytest.raises(InvalidParameterError, match="of the type dict, but a fit"):
            save({"weights": 1}, tmp_path / "model")

    def test_a_search_without_its_best_is_refused(self, make, tmp_path):
        search = GridSearchCV(make(), {"dropout": [0.0]}, cv=2, refit=False)
        with pytest.raises(InvalidParameterError, match="refit=True"):
            save(search.fit(TEXTS, LABELS), tmp_path / "model")

    def test_a_tokenizer_that_is_a_function_is_refused(self, vectors, tmp_path):
        featurizer = WordVectorFeaturizer(vectors, tokenizer=str.split).fit(TEXTS)
        with pytest.raises(ModelFolderError, match=r"parameters\.tokenizer is"):
            save(featurizer, tmp_path / "model")
        assert not (tmp_path / "model").exists()
