import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sktransfer.bundles.folders import read_bundle
from sktransfer.classifier.network.source import open_source
from sktransfer.exceptions import (
    InvalidParameterError,
    ModelFolderError,
    TransferError,
    TransferWarning,
)
from sktransfer.persistence import load, save
from sktransfer.words.vectors import WordVectors

TEXTS = ["good film", "bad film", "a lovely plot", "an awful plot"] * 3
LABELS = ["pos", "neg"] * 6
LONG = "the film is good and the plot is bad " * 12

# Training that changes nothing shows where a network starts.
STILL = {"max_epochs": 1, "encoder_learning_rate": 0, "head_learning_rate": 0}


def distance(model, source, but=()):
    """How far the parameters of two models lie apart, `but` for some."""
    theirs = dict(source.net_.module_.named_parameters())
    return sum(
        (p - theirs[name]).detach().square().sum().item()
        for name, p in model.net_.module_.named_parameters()
        if name not in but
    )


class TestStart:
    @pytest.mark.parametrize("ours", ["feature_extraction", "partial", "fine_tune"])
    @pytest.mark.parametrize("theirs", ["feature_extraction", "fine_tune"])
    def test_a_transformer_starts_as_its_source(
        self, make, sentiment_texts, theirs, ours
    ):
        texts, labels = sentiment_texts
        source = make(strategy=theirs, encoder_learning_rate=1e-2)
        source.fit(texts[:32], labels[:32])
        target = make(strategy=ours, init_from=FrozenEstimator(source), **STILL)
        target.set_params(random_state=5).fit(texts[40:60], labels[40:60])
        np.testing.assert_allclose(
            target.decision_function(texts), source.decision_function(texts), atol=1e-4
        )

    @pytest.mark.parametrize("ours", ["feature_extraction", "fine_tune"])
    @pytest.mark.parametrize("theirs", ["feature_extraction", "fine_tune"])
    def test_word_vectors_start_as_their_source(
        self, make, words, sentiment_texts, theirs, ours
    ):
        texts, labels = sentiment_texts
        texts = [text.strip(" .!") for text in texts]  # each word has a vector
        source = make(encoder=words(), strategy=theirs).fit(texts[:32], labels[:32])
        frozen = FrozenEstimator(source)
        target = make(encoder=words(), strategy=ours, init_from=frozen, **STILL)
        target.set_params(random_state=5).fit(texts[40:60], labels[40:60])
        np.testing.assert_allclose(
            target.decision_function(texts), source.decision_function(texts), atol=1e-5
        )

    def test_numbers_start_as_their_source(self, make, numbers):
        X, y = numbers
        source = make(encoder=None).fit(X, y)
        target = make(encoder=None, init_from=FrozenEstimator(source), **STILL)
        target.fit(X[:10] * 3 + 1, y[:10])
        np.testing.assert_allclose(
            target.decision_function(X), source.decision_function(X), atol=1e-6
        )

    def test_windows_are_kept_over_a_frozen_tuned_encoder(self, make, bert):
        texts, labels = ["good", LONG, "bad", LONG[5:]], [1, 1, 0, 0]
        encoder = bert(long_text="window", max_length=16)
        source = make(encoder=encoder, strategy="fine_tune").fit(texts, labels)
        frozen = FrozenEstimator(source)
        target = make(encoder=encoder, init_from=frozen, **STILL).fit(texts, labels)
        np.testing.assert_allclose(
            target.decision_function(texts), source.decision_function(texts), atol=1e-5
        )

    def test_the_scale_of_the_features_is_the_source_s(self, make, numbers):
        X, y = numbers
        source = make(encoder=None).fit(X, y)
        target = make(encoder=None, init_from=FrozenEstimator(source))
        ours = target.fit(X * 9 + 7, y).net_.module_.scaler
        theirs = source.net_.module_.scaler
        assert torch.equal(ours.mean, theirs.mean)
        assert ours.scale == theirs.scale

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_the_source_is_not_changed(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        source = make(strategy=strategy).fit(texts[:32], labels[:32])
        before = source.decision_function(texts)
        target = make(strategy="fine_tune", init_from=FrozenEstimator(source))
        target.set_params(encoder_learning_rate=0.1).fit(texts, labels)
        np.testing.assert_array_equal(source.decision_function(texts), before)

    def test_it_goes_on_to_learn_from_the_target(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        head = {"hidden_layer_sizes": (16,), "dropout": 0.0}
        source = make(strategy="fine_tune", **head).fit(texts[:32], labels[:32])
        flipped = np.where(labels == "pos", "neg", "pos")
        target = make(strategy="fine_tune", init_from=FrozenEstimator(source), **head)
        target.set_params(max_epochs=15, encoder_learning_rate=2e-3)
        assert target.fit(texts, flipped).score(texts, flipped) > 0.8


class TestInSearches:
    def test_in_a_grid(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        source = make(max_epochs=40).fit(texts, labels)
        grid = {"init_from": [None, FrozenEstimator(source)]}
        search = GridSearchCV(make(**STILL), grid, cv=2, error_score="raise")
        search.fit(texts[:40], labels[:40])
        assert search.best_params_["init_from"] is not None
        assert search.best_score_ == pytest.approx(
            source.score(texts[:40], labels[:40])
        )

    def test_in_a_pipeline(self, make, bert, sentiment_texts):
        texts, labels = sentiment_texts
        source = make_pipeline(bert(), make()).fit(texts, labels)
        target = make_pipeline(bert(), make(**STILL))
        name = "transfersentimentclassifier__init_from"
        target.set_params(**{name: FrozenEstimator(source)})
        target = clone(target).fit(texts[:20], labels[:20])
        np.testing.assert_allclose(
            target.predict_proba(texts), source.predict_proba(texts), atol=1e-5
        )

    def test_a_clone_that_lost_its_fit_names_the_remedies(self, make, numbers):
        source = make(encoder=None).fit(*numbers)
        target = clone(make(encoder=None, init_from=source))
        with pytest.raises(
            NotFittedError,
            match=r"FrozenEstimator\(source\).*Otherwise call source.fit",
        ):
            target.fit(*numbers)

    def test_something_else_is_refused(self, make, numbers):
        model = make(encoder=None, init_from=FrozenEstimator(LogisticRegression()))
        with pytest.raises(InvalidParameterError, match="or FrozenEstimator"):
            model.fit(*numbers)
        with pytest.raises(
            InvalidParameterError, match="init_from=7, but None or a path"
        ):
            model.set_params(init_from=7).fit(*numbers)


class TestDifferences:
    def test_they_are_listed(self, make, numbers):
        X, y = numbers
        source = make(encoder=None, hidden_layer_sizes=(3,)).fit(X[:, :4], y)
        target = make(
            encoder=None, activation="tanh", init_from=FrozenEstimator(source)
        )
        with pytest.raises(TransferError) as caught:
            target.fit(X, y)
        listed = [line for line in str(caught.value).splitlines() if line[:4] == "  - "]
        assert listed == [
            "  - the source reads 4 features, the target 5",
            "  - hidden_layer_sizes=(3,) in the source, (4,) in the target",
            "  - activation='relu' in the source, 'tanh' in the target",
        ]

    def test_other_encoders_do_not_fit(
        self, make, bert, words, other_tiny_bert, sentiment_texts
    ):
        texts, labels = sentiment_texts
        source = make().fit(texts[:32], labels[:32])
        for encoder, message in [
            (bert(model=other_tiny_bert), "encoder is .*, the target's '.*other"),
            (bert(pooling="cls"), r"pooling=\('mean',\) in the source's encoder"),
            (bert(normalize=True), "normalize=False in the source's encoder, True"),
            (words(), "is a BertFeaturizer, the target's a WordVectorFeaturizer"),
        ]:
            target = make(encoder=encoder, init_from=FrozenEstimator(source))
            with pytest.raises(TransferError, match=message):
                target.fit(texts, labels)

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"pooling": "max"}, r"pooling=\('mean',\) in the source's encoder"),
            ({"normalize": True}, "normalize=False in the source's encoder, True"),
            ({"weighting": "idf"}, "weighting=None in the source's encoder, 'idf'"),
        ],
    )
    def test_word_vectors_are_put_together_alike(
        self, make, words, sentiment_texts, option, message
    ):
        source = make(encoder=words()).fit(*sentiment_texts)
        init_from = FrozenEstimator(source)
        target = make(encoder=words(**option), init_from=init_from)
        with pytest.raises(TransferError, match=message):
            target.fit(*sentiment_texts)

    def test_counts_of_other_words_do_not_fit(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        counts = TfidfVectorizer(max_features=4)
        source = make(encoder=counts).fit(texts, labels)
        other = ["good new words", "bad other words"] * 20
        target = make(encoder=counts, init_from=FrozenEstimator(source))
        with pytest.raises(TransferError, match=r"gives the columns .*FrozenEstimator"):
            target.fit(other, ["pos", "neg"] * 20)
        frozen = FrozenEstimator(TfidfVectorizer(max_features=4).fit(texts))
        source = make(encoder=frozen).fit(texts, labels)
        target = make(encoder=frozen, init_from=FrozenEstimator(source), **STILL)
        np.testing.assert_allclose(
            target.fit(other, ["pos", "neg"] * 20).decision_function(texts),
            source.decision_function(texts),
            atol=1e-5,
        )

    def test_columns_in_another_order_do_not_fit(self, make, numbers):
        X, y = numbers
        table = pd.DataFrame(X[:, :2], columns=["a", "b"])
        source = make(encoder=None).fit(table, y)
        target = make(encoder=None, init_from=FrozenEstimator(source))
        with pytest.raises(TransferError, match=r"\['a', 'b'\] and the target has"):
            target.fit(table[["b", "a"]], y)
        target.fit(table, y)

    def test_the_last_layer_has_two_names(self, make, bert, sentiment_texts):
        source = make(encoder=bert(layers=-1), strategy="partial", max_epochs=1)
        source.fit(*sentiment_texts)
        target = make(
            encoder=bert(layers=2),
            strategy="partial",
            init_from=FrozenEstimator(source),
        )
        target.set_params(**STILL).fit(*sentiment_texts)
        texts, _ = sentiment_texts
        np.testing.assert_allclose(
            target.decision_function(texts), source.decision_function(texts), atol=1e-5
        )

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_other_classes_start_the_last_layer_anew(self, make, numbers, n_classes):
        X, _ = numbers
        source = make(encoder=None).fit(X, np.arange(60) % 2)
        target = make(encoder=None, init_from=FrozenEstimator(source), **STILL)
        with pytest.warns(TransferWarning, match="the last layer starts anew"):
            target.fit(X, [f"class {row % n_classes}" for row in range(60)])
        ours, theirs = (m.net_.module_.head for m in (target, source))
        assert torch.equal(ours.hidden_1.weight, theirs.hidden_1.weight)
        assert not torch.equal(ours.output.weight[:1], theirs.output.weight)
        assert target.predict(X[:1])[0].startswith("class")

    def test_a_tuned_encoder_cannot_come_along_to_numbers(
        self, make, bert, sentiment_texts
    ):
        texts, labels = sentiment_texts
        source = make(strategy="fine_tune", max_epochs=1).fit(texts[:20], labels[:20])
        target = make(init_from=FrozenEstimator(source))
        with pytest.warns(TransferWarning, match="has no encoder to put it into"):
            target.fit(bert().fit_transform(texts), labels)


class TestVectorsOfAnotherLanguage:
    def test_the_table_is_new_and_all_above_it_the_source_s(
        self, make, words, toy_matrix, toy_words, sentiment_texts
    ):
        texts, labels = sentiment_texts
        source = make(encoder=words(), strategy="fine_tune").fit(texts, labels)
        others = WordVectors(["gut", "mies"], toy_matrix[[3, 4]])
        frozen = FrozenEstimator(source)
        target = make(
            encoder=words(vectors=others), strategy="fine_tune", init_from=frozen
        )
        target.set_params(**STILL).fit(["gut", "mies"], ["pos", "neg"])
        table = target.net_.module_.body.table.weight
        assert torch.equal(table[2:], torch.from_numpy(toy_matrix[[3, 4]]))
        ours, theirs = (m.net_.module_.own_tensors() for m in (target, source))
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name])

    def test_the_source_s_words_keep_what_they_learnt(self, make, words):
        texts, labels = ["good film", "bad film"], ["pos", "neg"]
        source = make(encoder=words(), strategy="fine_tune").fit(texts, labels)
        target = make(
            encoder=words(), strategy="fine_tune", init_from=FrozenEstimator(source)
        )
        target.set_params(**STILL).fit(["plot good", "plot awful"], labels)
        ours, theirs = (m.net_.module_.body.table.weight for m in (target, source))
        assert torch.equal(ours[: len(theirs)], theirs)
        vocabulary = target._input.vocabulary
        assert set(vocabulary) == {"good", "film", "bad", "plot", "awful"}
        expected = target.encoder_.vectors_["plot"]
        np.testing.assert_array_equal(ours[vocabulary["plot"]].detach(), expected)


class TestDecayTowardsTheSource:
    @pytest.mark.parametrize("theirs", ["feature_extraction", "fine_tune"])
    def test_the_stronger_the_nearer(self, make, sentiment_texts, theirs):
        texts, labels = sentiment_texts
        source = make(strategy=theirs).fit(texts[:32], labels[:32])
        body = make(strategy="fine_tune", init_from=FrozenEstimator(source))
        start = clone(body).set_params(**STILL).fit(texts, labels)
        flipped = np.where(labels == "pos", "neg", "pos")
        distances = []
        for l2_sp in (0.0, 10.0, 100.0):
            model = clone(body).set_params(
                l2_sp=l2_sp, encoder_learning_rate=5e-3, head_learning_rate=5e-3
            )
            distances.append(distance(model.fit(texts, flipped), start))
        assert distances[0] > 1.2 * distances[1] > 1.4 * distances[2]

    def test_it_holds_what_the_source_left_as_it_was_pretrained(
        self, make, sentiment_texts
    ):
        texts, labels = sentiment_texts
        source = make(hidden_layer_sizes=()).fit(texts, labels)
        target = make(
            hidden_layer_sizes=(),
            strategy="fine_tune",
            init_from=FrozenEstimator(source),
            l2_sp=1000.0,
            encoder_learning_rate=1e-3,
            head_learning_rate=1e-3,
            warmup_fraction=0,
        )
        flipped = np.where(labels == "pos", "neg", "pos")
        target.fit(texts, flipped)
        # The head is held where the source's was, too, but for its bias.
        start = clone(target).set_params(**STILL).fit(texts, flipped)
        free = clone(target).set_params(l2_sp=0).fit(texts, labels)
        free_to_move = ["head.output.bias"]
        near, far = (distance(one, start, free_to_move) for one in (target, free))
        assert near < 0.25 * far

    @pytest.mark.parametrize(
        "options", [{"strategy": "fine_tune"}, {"strategy": "lora"}, {"words": True}]
    )
    def test_a_warm_start_is_pulled_to_the_source_too(
        self, make, words, sentiment_texts, options
    ):
        texts, labels = sentiment_texts
        flipped = np.where(labels == "pos", "neg", "pos")
        if "words" in options:
            options = {"strategy": "fine_tune", "encoder": words()}
        options = {"hidden_layer_sizes": (), **options}
        source = make(**options).fit(texts, labels)
        far = {"encoder_learning_rate": 2e-2, "head_learning_rate": 2e-2}
        target = make(init_from=FrozenEstimator(source), **options, **far)
        target.fit(texts, flipped)
        wanted = source.decision_function(texts)
        before = np.abs(target.decision_function(texts) - wanted).mean()
        # A pull as strong as this takes everything back within a step.
        target.set_params(
            l2_sp=1e4,
            warm_start=True,
            encoder_learning_rate=1e-4,
            head_learning_rate=1e-4,
            warmup_fraction=0,
            max_epochs=1,
        ).fit(texts, flipped)
        after = np.abs(target.decision_function(texts) - wanted).mean()
        assert after < 0.2 * before

    @pytest.mark.parametrize("sizes", [(), (4,)])
    def test_without_a_source_it_has_no_effect(self, make, numbers, sizes):
        X, y = numbers
        model = make(encoder=None, hidden_layer_sizes=sizes)
        free = model.fit(X, y).decision_function(X)
        pulled = model.set_params(l2_sp=0.5).fit(X, y).decision_function(X)
        np.testing.assert_array_equal(pulled, free)
        model.partial_fit(X, y)


def test_the_same_classes_are_no_warning(make, numbers):
    X, y = numbers
    source = make(encoder=None).fit(X, y)
    target = make(encoder=None, init_from=FrozenEstimator(source))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        target.fit(X[:20], y[:20])


class TestFolders:
    @pytest.fixture
    def folder(self, make, tmp_path):
        """A source model that was saved."""
        source = make(strategy="fine_tune").fit(TEXTS, LABELS)
        save(source, tmp_path / "movies")
        return tmp_path / "movies"

    @pytest.mark.parametrize("kind", [str, Path])
    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_a_folder_is_as_good_as_the_source_itself(
        self, make, folder, kind, strategy
    ):
        parameters = {"strategy": strategy, "max_epochs": 1}
        ours = make(init_from=kind(folder), **parameters).fit(TEXTS, LABELS)
        frozen = FrozenEstimator(load(folder))
        theirs = make(init_from=frozen, **parameters).fit(TEXTS, LABELS)
        np.testing.assert_array_equal(
            ours.predict_proba(TEXTS), theirs.predict_proba(TEXTS)
        )

    def test_in_a_pipeline_the_last_step_is_the_source(self, make, bert, tmp_path):
        source = make_pipeline(bert(), make(encoder=None)).fit(TEXTS, LABELS)
        save(source, tmp_path / "pipe")
        target = make(encoder=None, init_from=str(tmp_path / "pipe"), **STILL)
        target = make_pipeline(bert(), target).fit(TEXTS, LABELS)
        np.testing.assert_allclose(
            target.predict_proba(TEXTS), source.predict_proba(TEXTS), atol=1e-6
        )

    def test_a_grid_names_folders_and_reads_each_once(self, make, folder, monkeypatch):
        reads = []

        def read(path):
            reads.append(path)
            return read_bundle(path)

        monkeypatch.setattr("sktransfer.classifier.network.source.read_bundle", read)
        grid = {"init_from": [None, str(folder)], "l2_sp": [0.0]}
        search = GridSearchCV(make(strategy="fine_tune"), grid, cv=3)
        search.fit(TEXTS, LABELS)
        assert len(reads) == 1
        scores = search.cv_results_["mean_test_score"]
        assert np.isfinite(scores).all()

    def test_a_source_saved_anew_is_read_anew(self, make, folder):
        target = make(strategy="fine_tune", init_from=str(folder), **STILL)
        before = target.fit(TEXTS, LABELS).decision_function(TEXTS)
        other = make(strategy="fine_tune", random_state=1).fit(TEXTS, LABELS[::-1])
        save(other, folder)
        after = target.fit(TEXTS, LABELS).decision_function(TEXTS)
        np.testing.assert_allclose(after, other.decision_function(TEXTS), atol=1e-6)
        assert not np.allclose(before, after, atol=1e-3)

    def test_the_source_is_not_changed_by_its_targets(self, make, folder):
        before = load(folder).predict_proba(TEXTS)
        target = make(strategy="fine_tune", init_from=str(folder), l2_sp=0.1)
        target.fit(TEXTS, LABELS[::-1])
        opened = open_source(str(folder))
        np.testing.assert_array_equal(opened.predict_proba(TEXTS), before)

    def test_a_missing_folder_is_named(self, make, tmp_path):
        target = make(init_from=str(tmp_path / "nowhere"))
        with pytest.raises(ModelFolderError, match=r"there is no folder .*nowhere"):
            target.fit(TEXTS, LABELS)

    def test_a_saved_model_of_another_kind_is_refused(self, make, bert, tmp_path):
        save(bert().fit(TEXTS), tmp_path / "features")
        target = make(init_from=str(tmp_path / "features"))
        with pytest.raises(InvalidParameterError, match="a fitted TransferSent"):
            target.fit(TEXTS, LABELS)

    def test_it_predicts_on_the_target_untouched(self, make, folder):
        source = load(folder)
        assert source.score(TEXTS, LABELS) == pytest.approx(
            np.mean(source.predict(TEXTS) == LABELS)
        )
