import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback, EarlyStopping, EpochScoring

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.nested_parameters import open_encoder
from sktransfer.comparison.setup.named_strategies import _given
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    CheckpointNotFoundError,
    InvalidParameterError,
    ModelFolderError,
)
from sktransfer.persistence import load, save
from sktransfer.words.featurizer import WordVectorFeaturizer


class TestNames:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            (None, BertFeaturizer()),
            ("multilingual-e5-small", BertFeaturizer("multilingual-e5-small")),
            ("organisation/model", BertFeaturizer("organisation/model")),
            ("glove-6b-50d", WordVectorFeaturizer("glove-6b-50d")),
        ],
    )
    def test_what_they_stand_for(self, name, meant):
        found = open_encoder(name)
        assert type(found) is type(meant)
        assert found.get_params() == meant.get_params()

    def test_a_name_stays_what_it_is(self, make, tiny_bert, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(encoder=tiny_bert)
        assert clone(model).encoder is model.encoder
        assert f"encoder={tiny_bert[:10]!r}"[:-1] in repr(model)
        model.fit(texts, labels)
        assert model.encoder == tiny_bert
        assert model.encoder_.model == tiny_bert
        same = make(encoder=BertFeaturizer(tiny_bert)).fit(texts, labels)
        expected = same.decision_function(texts)
        np.testing.assert_array_equal(model.decision_function(texts), expected)
        copy = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copy.decision_function(texts), expected)

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("multilingual-e5-smal", "Did you mean 'multilingual-e5-small'"),
            ("glove_6b_50", "Did you mean 'glove-6b-50d'"),
        ],
    )
    def test_one_that_nothing_has(self, make, name, hint):
        with pytest.raises(CheckpointNotFoundError, match=hint):
            make(encoder=name).fit(["good", "bad"], [1, 0])

    def test_a_file_of_vectors_is_told_from_a_transformer(self, make, tmp_path):
        path = tmp_path / "vectors.txt"
        path.write_text("good 1.0\n")
        for name in (str(path), path):
            with pytest.raises(
                CheckpointNotFoundError, match=r"WordVectorFeaturizer\('.*vectors.txt'"
            ):
                make(encoder=name).fit(["good", "bad"], [1, 0])

    def test_a_saved_model_names_packaged_encoders_alone(
        self, make, tiny_bert, sentiment_texts, numbers, tmp_path
    ):
        texts, labels = sentiment_texts
        model = make(encoder=tiny_bert).fit(texts[:20], labels[:20])
        expected = model.predict_proba(texts)
        save(model, tmp_path / "own")
        loaded = load(tmp_path / "own")
        np.testing.assert_array_equal(loaded.predict_proba(texts), expected)
        assert loaded.encoder.model == tiny_bert
        packaged = make(encoder="multilingual-e5-small", max_epochs=1).fit(*numbers)
        save(packaged, tmp_path / "packaged")
        assert load(tmp_path / "packaged").encoder == "multilingual-e5-small"
        search = GridSearchCV(packaged, {"encoder": ["somewhere/else"]}, cv=2)
        search.fit(*numbers)
        with pytest.raises(ModelFolderError, match="sets 'encoder' to a folder of its"):
            save(Pipeline([("search", search)]), tmp_path / "search")

    def test_a_crafted_folder_names_no_other(self, make, tiny_bert):
        from sktransfer.classifier.saving import KINDS

        kind = KINDS[TransferSentimentClassifier]
        fields = kind.take_apart(make(encoder=None))
        fields["parameters"]["encoder"] = tiny_bert
        with pytest.raises(ModelFolderError, match="encoder of Trans"):
            kind.put_together(fields)

    def test_a_comparison_sees_the_encoder(self, tiny_bert):
        named = TransferSentimentClassifier(tiny_bert, dropout=0.4)
        (candidate,) = _given("mine", named, has_source=False)
        assert candidate.estimator.encoder.model == tiny_bert
        assert candidate.estimator.dropout == 0.4
        assert named.encoder == tiny_bert


class TestEncoders:
    def test_a_grid_reaches_into_the_default(self, tiny_bert, sentiment_texts):
        texts, labels = sentiment_texts
        grid = {
            "encoder__model": [tiny_bert],
            "encoder__pooling": ["mean", ("cls", "max")],
        }
        widths = []

        def score(model, X, y):
            widths.append(model.net_.module_.layout.n_features)
            return 0.0

        model = TransferSentimentClassifier(hidden_layer_sizes=())
        search = GridSearchCV(
            model, grid, cv=2, scoring=score, refit=False, error_score="raise"
        )
        search.fit(texts[:20], labels[:20])
        assert widths == [32, 32, 64, 64]
        assert model.encoder is None

    def test_a_name_is_set_before_what_is_in_it(self):
        model = TransferSentimentClassifier()
        model.set_params(encoder__pooling="max", encoder="all-MiniLM-L6-v2")
        assert model.encoder.model == "all-MiniLM-L6-v2"
        assert model.encoder.pooling == "max"
        model.set_params(encoder__pooling="sum", encoder="glove-6b-50d")
        assert isinstance(model.encoder, WordVectorFeaturizer)
        assert model.encoder.pooling == "sum"

    def test_in_a_pipeline(self):
        pipe = Pipeline([("classifier", TransferSentimentClassifier())])
        pipe.set_params(classifier__encoder__layers=-2)
        assert pipe[-1].encoder.layers == -2
        assert pipe.get_params()["classifier__encoder__layers"] == -2

    def test_an_encoder_that_was_given_is_changed_itself(self):
        encoder = TfidfVectorizer()
        model = TransferSentimentClassifier(encoder).set_params(encoder__min_df=2)
        assert model.encoder is encoder
        assert encoder.min_df == 2

    def test_parameters_tell_of_what_is_meant_and_make_nothing(self):
        model = TransferSentimentClassifier()
        shallow, deep = model.get_params(deep=False), model.get_params()
        assert "encoder__pooling" not in shallow
        assert deep["encoder__pooling"] == "auto"
        assert shallow.items() <= deep.items()
        assert model.encoder is None
        assert repr(model) == "TransferSentimentClassifier()"
        # The inside of an encoder that nobody gave is not shown as set.
        assert "encoder__cache" not in model._repr_html_()

    def test_what_does_not_exist_changes_nothing(self):
        model = TransferSentimentClassifier()
        with pytest.raises(ValueError, match="Invalid parameter 'poling'"):
            model.set_params(encoder__poling="max")
        assert model.encoder is None
        with pytest.raises(ValueError, match="Invalid parameter 'encodr'"):
            model.set_params(encodr__pooling="max")
        model.encoder = 3
        with pytest.raises(InvalidParameterError, match="encoder=3 is no transformer"):
            model.set_params(encoder__pooling="max")


class Forgetful(Callback):
    """Keeps what it was given under another name."""

    def __init__(self, path):
        self.place_ = path

    def get_params(self, deep=True):
        return {"path": self.path}


class TestCallbacks:
    def test_by_names_and_by_skorch_s_names(self):
        early, first, second = EarlyStopping(), EpochScoring("f1"), EpochScoring("f1")
        callbacks = [("early", early), first, second, EarlyStopping]
        model = TransferSentimentClassifier(callbacks=callbacks)
        found = model.get_params()
        assert found["callbacks__early"] is early
        assert found["callbacks__early__patience"] == 5
        assert found["callbacks__EpochScoring_2"] is second
        copy = clone(model).set_params(
            callbacks__early__patience=3,
            callbacks__EpochScoring_1__name="mine",
            callbacks__EpochScoring_2=None,
            callbacks__EarlyStopping__patience=4,
        )
        assert copy.callbacks[0][1].patience == 3
        assert copy.callbacks[1].name == "mine"
        assert copy.callbacks[2] == ("EpochScoring_2", None)
        assert copy.callbacks[3][1].patience == 4
        # Copies were changed.
        assert (early.patience, first.name) == (5, None)
        assert callbacks == [("early", early), first, second, EarlyStopping]

    def test_a_callback_and_its_parameter_at_once(self):
        model = TransferSentimentClassifier(callbacks=[("early", EarlyStopping())])
        before = model.callbacks
        new = EarlyStopping(monitor="train_loss")
        model.set_params(callbacks__early__patience=2, callbacks__early=new)
        assert model.callbacks == [("early", new)]
        assert new.patience == 2
        assert before[0][1] is not new

    def test_one_that_does_not_exist(self):
        model = TransferSentimentClassifier(callbacks=[("early", EarlyStopping())])
        with pytest.raises(InvalidParameterError, match="Did you mean 'early'"):
            model.set_params(callbacks__erly__patience=2)
        with pytest.raises(InvalidParameterError, match="the callback 'early' is None"):
            model.set_params(callbacks__early=None, callbacks__early__patience=2)

    def test_a_grid_over_them(self, make, numbers):
        early = EarlyStopping("train_loss", threshold=10.0, sink=lambda text: None)
        model = make(encoder=None, max_epochs=20, callbacks=[("early", early)])
        lengths = []

        def score(model, X, y):
            lengths.append(len(model.history_))
            return 0.0

        grid = [
            {"callbacks__early__patience": [2, 3]},
            {"callbacks__early": [None], "max_epochs": [7]},
        ]
        search = GridSearchCV(model, grid, cv=2, scoring=score, refit=False)
        search.fit(*numbers)
        assert lengths == [3, 3, 4, 4, 7, 7]

    def test_one_that_forgets_its_parameters_is_in_no_one_s_way(self):
        model = TransferSentimentClassifier(callbacks=[Forgetful("place")])
        assert "callbacks__Forgetful" in model.get_params()
        assert model.set_params(max_epochs=3).max_epochs == 3


class TestNet:
    def test_entries_are_in_reach_whether_they_are_there_or_not(self, make, numbers):
        given = {"optimizer__eps": 1e-6}
        for net_params in (None, given):
            model = make(encoder=None, net_params=net_params)
            model.set_params(net_params__optimizer__betas=(0.5, 0.6)).fit(*numbers)
            assert model.net_.optimizer_.defaults["betas"] == (0.5, 0.6)
            found = model.get_params()
            assert found["net_params__optimizer__betas"] == (0.5, 0.6)
        assert found["net_params__optimizer__eps"] == 1e-6
        assert given == {"optimizer__eps": 1e-6}

    def test_what_holds_no_entries(self):
        model = TransferSentimentClassifier(net_params=3)
        with pytest.raises(InvalidParameterError, match="net_params=3 is no dict"):
            model.set_params(net_params__optimizer__eps=1e-6)

    def test_those_of_the_classifier_are_still_refused(self, make, numbers):
        model = make(encoder=None).set_params(net_params__optimizer__lr=1)
        with pytest.raises(InvalidParameterError, match="which the classifier sets"):
            model.fit(*numbers)
