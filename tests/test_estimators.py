import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_checks, estimator_html_repr, get_tags

import sktransfer
from sktransfer import estimators
from sktransfer.baselines.nbsvm import NBSVMClassifier, nbsvm_baseline
from sktransfer.baselines.snownlp import SnowNLPClassifier
from sktransfer.baselines.tfidf import tfidf_baseline
from sktransfer.baselines.vader import VaderClassifier
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import (
    inner_estimators,
    is_encoder,
    is_estimator,
    is_text_classifier,
    open_wrappers,
    steps_of,
    walk,
    wrapped_in,
)
from sktransfer.exceptions import InvalidInputError
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.training import WordVectorTrainer
from sktransfer.words.vectors import WordVectors

ROOT = Path(__file__).parent.parent
TEXTS, LABELS = ["good film", "bad film"] * 6, [1, 0] * 6


@pytest.fixture
def words():
    return make_pipeline(CountVectorizer(), LogisticRegression())


class TestKinds:
    def test_a_class_is_no_estimator(self):
        assert is_estimator(LogisticRegression())
        assert not is_estimator(LogisticRegression)

    def test_what_predicts_may_be_a_classifier_of_texts(self, words):
        assert is_text_classifier(words)
        assert not is_text_classifier(CountVectorizer())

    def test_encoders_keep_vectors(self):
        class Own(BertFeaturizer):
            pass

        assert is_encoder(Own())
        assert not is_encoder(CountVectorizer())


class TestInner:
    def test_prefixes_set_parameters(self, words):
        search = GridSearchCV(words, {})
        found = dict(inner_estimators(search))
        assert found["estimator__countvectorizer__"] is words[0]
        search.set_params(estimator__countvectorizer__binary=True)
        assert words[0].binary

    def test_what_is_frozen_is_not_looked_into(self, words):
        assert len(list(inner_estimators(FrozenEstimator(words)))) == 1

    def test_steps_that_do_nothing_are_left_out(self):
        head = LogisticRegression()
        pipeline = Pipeline([("a", "passthrough"), ("b", None), ("c", head)])
        assert steps_of(pipeline) == [head]


class TestWrappers:
    def test_all_are_opened(self, words):
        search = GridSearchCV(words, {"countvectorizer__binary": [True]}, cv=2)
        fitted = FrozenEstimator(search.fit(TEXTS, LABELS))
        inner = open_wrappers(fitted)
        assert inner is fitted.estimator.best_estimator_[-1]
        assert inner.coef_.shape == (1, 3)

    def test_only_those_that_are_named(self, words):
        tuned = TunedThresholdClassifierCV(words, cv=2).fit(TEXTS, LABELS)
        frozen = FrozenEstimator(tuned)
        assert open_wrappers(frozen, FrozenEstimator, Pipeline) is tuned
        assert open_wrappers(frozen) is tuned.estimator_[-1]

    def test_what_is_not_fitted_or_no_wrapper_stays(self, words):
        search = GridSearchCV(words, {})
        assert wrapped_in(search) is None
        assert open_wrappers(search) is search
        assert open_wrappers(None) is None


class TestWalk:
    def test_each_once_at_any_depth(self):
        inner = TfidfVectorizer()
        outer = LogisticRegression(class_weight={"a": [inner, (inner,)]})
        outer.self_ = outer
        found = [one for one in walk(outer, is_estimator) if is_estimator(one)]
        assert sorted(map(id, found)) == sorted(map(id, (outer, inner)))

    def test_attributes_only_where_asked_for(self):
        outer = LogisticRegression(class_weight="balanced")
        assert list(walk([outer], lambda one: False)) == [[outer], outer]

    def test_arrays_of_objects_and_sets_are_containers(self):
        one, other = CountVectorizer(), CountVectorizer(binary=True)
        array = np.array([one, other], dtype=object)
        found = list(walk({"a": array, "b": {1}}, lambda one: False))
        ids = {id(each) for each in found}
        assert {id(one), id(other), id(array)} < ids
        assert 1 in [each for each in found if isinstance(each, int)]


PUBLIC = {
    "BertFeaturizer": BertFeaturizer(),
    "NBSVMClassifier": NBSVMClassifier(),
    "SnowNLPClassifier": SnowNLPClassifier(),
    "TransferSentimentClassifier": TransferSentimentClassifier(),
    "VaderClassifier": VaderClassifier(),
    "WordVectorFeaturizer": WordVectorFeaturizer(),
    "WordVectorTrainer": WordVectorTrainer(),
}


@pytest.fixture
def metadata(monkeypatch):
    """Replaces the metadata of the package by what a test says."""

    def use(*urls):
        found = Message()
        for url in urls:
            found["Project-URL"] = url
        monkeypatch.setattr(estimators, "metadata", lambda name: found)

    return use


class TestLinks:
    """The HTML repr leads to the page of a class, where the metadata has an address."""

    def test_these_are_all_public_estimators(self):
        classes = {name: getattr(sktransfer, name) for name in sktransfer.__all__}
        found = [
            name
            for name, value in classes.items()
            if isinstance(value, type) and issubclass(value, BaseEstimator)
        ]
        assert sorted(found) == sorted(PUBLIC)

    @pytest.mark.parametrize("name", PUBLIC)
    @pytest.mark.parametrize(
        "address", ["https://docs.example/", "https://docs.example"]
    )
    def test_it_is_the_page_that_the_documentation_makes(self, metadata, name, address):
        metadata("Source, https://code.example", f"Documentation, {address}")
        page = f"https://docs.example/generated/sktransfer.{name}.html"
        assert PUBLIC[name]._get_doc_link() == page
        assert f'href="{page}"' in estimator_html_repr(PUBLIC[name])

    def test_these_pages_are_made(self):
        api = ROOT.joinpath("docs", "api.rst").read_text(encoding="utf-8")
        blocks = api.split(".. currentmodule:: sktransfer\n")[1:]
        listed = "".join(block.partition(".. currentmodule::")[0] for block in blocks)
        assert listed.count(":toctree: generated/") == listed.count("autosummary::")
        assert set(PUBLIC) <= {line.strip() for line in listed.splitlines()}

    def test_the_address_stands_in_the_projects_file_alone(self):
        project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]
        assert list(project["urls"]) == ["Documentation"]
        host = project["urls"]["Documentation"].split("/")[2]
        sources = ROOT.joinpath("sktransfer").rglob("*.py")
        assert not [path for path in sources if host in path.read_text("utf-8")]

    def test_without_an_address_there_is_no_link(self, metadata):
        metadata("Source, https://code.example")
        assert PUBLIC["NBSVMClassifier"]._get_doc_link() == ""
        assert "sk-estimator-doc-link" in estimator_html_repr(PUBLIC["NBSVMClassifier"])
        assert "/generated/" not in estimator_html_repr(PUBLIC["NBSVMClassifier"])

    def test_nor_from_a_source_tree_that_is_not_installed(self, monkeypatch):
        def find(name):
            raise PackageNotFoundError(name)

        monkeypatch.setattr(estimators, "metadata", find)
        assert PUBLIC["BertFeaturizer"]._get_doc_link() == ""

    def test_a_class_of_the_users_has_no_page_here(self, metadata):
        class Own(BertFeaturizer):
            pass

        metadata("Documentation, https://docs.example/")
        assert Own()._get_doc_link() == ""


class TestTags:
    """What scikit-learn and other packages are told of what our estimators take."""

    def test_both_featurizers_tell_the_same(self):
        ours, theirs = (
            get_tags(PUBLIC[name])
            for name in ("BertFeaturizer", "WordVectorFeaturizer")
        )
        assert ours == theirs
        assert ours.requires_fit
        assert ours.transformer_tags.preserves_dtype == []

    @pytest.mark.parametrize(
        "name", sorted(set(PUBLIC) - {"NBSVMClassifier", "TransferSentimentClassifier"})
    )
    def test_texts_are_strings_in_one_dimension(self, name):
        tags = get_tags(PUBLIC[name]).input_tags
        assert (tags.string, tags.one_d_array, tags.two_d_array) == (True, True, False)

    @pytest.mark.parametrize("name", PUBLIC)
    @pytest.mark.parametrize(
        "check",
        [
            estimator_checks.check_estimator_cloneable,
            estimator_checks.check_estimator_repr,
            estimator_checks.check_estimator_tags_renamed,
            estimator_checks.check_get_params_invariance,
            estimator_checks.check_mixin_order,
            estimator_checks.check_no_attributes_set_in_init,
            estimator_checks.check_parameters_default_constructible,
            estimator_checks.check_set_params,
            estimator_checks.check_valid_tag_types,
        ],
        ids=lambda check: check.__name__,
    )
    def test_scikit_learns_checks_that_need_no_numbers_pass(self, name, check):
        check(name, clone(PUBLIC[name]))


READERS = ["BertFeaturizer", "WordVectorFeaturizer", "classifier", "tuned classifier"]
READERS += ["pipeline", "VaderClassifier", "tfidf", "nbsvm", "balanced"]


@pytest.fixture
def reading(tiny_bert):
    """Estimators of texts, by name."""
    words = WordVectorFeaturizer(
        WordVectors(["good", "bad", "film"], np.eye(3)), n_components_removed=1
    )
    bert = BertFeaturizer(tiny_bert, device="cpu", dtype="float32")
    small = {"max_epochs": 1, "random_state": 0, "device": "cpu", "dtype": "float32"}
    return {
        "BertFeaturizer": bert,
        "WordVectorFeaturizer": words,
        "classifier": TransferSentimentClassifier(words, **small),
        "tuned classifier": TransferSentimentClassifier(bert, "fine_tune", **small),
        "pipeline": make_pipeline(bert, LogisticRegression()),
        "VaderClassifier": VaderClassifier(),
        "tfidf": tfidf_baseline(iter(TEXTS)),
        "nbsvm": nbsvm_baseline(map(str, TEXTS)),
        "balanced": BalancedThresholdClassifier(tfidf_baseline(TEXTS)),
    }


class TestIterators:
    """What can be gone through once only is as good as a list."""

    @pytest.mark.parametrize("once", [iter, lambda texts: map(str, texts)])
    @pytest.mark.parametrize("name", READERS)
    def test_every_method_takes_it(self, reading, name, once):
        model = reading[name]
        expected = clone(model).fit(TEXTS, LABELS)
        found = clone(model).fit(once(TEXTS), LABELS)
        methods = ["transform"] if hasattr(found, "transform") else ["predict"]
        methods += [m for m in ("predict_proba",) if hasattr(found, m)]
        for method in methods:
            np.testing.assert_array_equal(
                getattr(found, method)(once(TEXTS)), getattr(expected, method)(TEXTS)
            )
        if hasattr(model, "fit_transform") and "transform" in methods:
            np.testing.assert_array_equal(
                clone(model).fit_transform(once(TEXTS)), expected.transform(TEXTS)
            )

    @pytest.mark.parametrize("name", ["BertFeaturizer", "WordVectorFeaturizer"])
    @pytest.mark.parametrize("value", [np.array("good"), np.array(3.0), np.array(None)])
    def test_an_array_without_rows_is_told_as_such(self, reading, name, value):
        for method in ("fit", "fit_transform"):
            with pytest.raises(InvalidInputError, match="X has 0 dimensions"):
                getattr(reading[name], method)(value)
