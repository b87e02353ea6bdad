"""The two public functions, and the estimators of this package under all checks."""

from unittest import SkipTest

import numpy as np
import pytest
from sklearn.exceptions import EstimatorCheckFailedWarning, SkipTestWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.baselines.nbsvm import NBSVMClassifier
from sktransfer.baselines.snownlp import SnowNLPClassifier
from sktransfer.baselines.vader import VaderClassifier
from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.testing import (
    check_text_estimator,
    parametrize_with_text_checks,
    registry,
    running,
    text_checks_generator,
)
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors
from tests.testing.broken_vectorizers import (
    DiesElsewhere,
    ReturnsNothing,
    TaggedAsNumbers,
)
from tests.testing.toys import Counts, Votes

# Rows weigh the same in any batch only where all are in one batch.
ONE_BATCH = {
    "max_epochs": 1,
    "batch_size": 256,
    "dropout": 0.0,
    "early_stopping": False,
    "random_state": 0,
}


def classifier(encoder=None, strategy="feature_extraction"):
    return TransferSentimentClassifier(encoder, strategy, **ONE_BATCH)


OURS = {
    "transformer": lambda bert, words: bert,
    "word vectors": lambda bert, words: words,
    "classifier on a transformer": lambda bert, words: classifier(bert),
    "classifier that tunes word vectors": lambda bert, words: classifier(
        words, "fine_tune"
    ),
    "English lexicon": lambda bert, words: VaderClassifier(),
}


def failures(estimator, **options):
    """What the failed checks say, by name."""
    options = {"on_fail": None, "on_skip": None, "tolerance": 1e-4} | options
    results = check_text_estimator(estimator, **options)
    return {
        one["check_name"]: str(one["exception"])
        for one in results
        if one["status"] == "failed"
    }


@pytest.fixture
def in_this_process(monkeypatch):
    """No checks that start processes, which take most of the time."""

    def applying(subject):
        found = registry.applying(subject)
        return [check for check in found if "process" not in check.__name__]

    monkeypatch.setattr(running, "applying", applying)


@pytest.fixture(scope="module")
def encoders(tiny_bert, toy_words, toy_matrix):
    vectors = WordVectors(toy_words, toy_matrix)
    return BertFeaturizer(tiny_bert), WordVectorFeaturizer(vectors)


class TestOurs:
    @pytest.mark.parametrize("name", OURS)
    def test_nothing_is_amiss(self, name, encoders, request):
        if name.startswith("classifier"):  # processes have its encoder to open above
            request.getfixturevalue("in_this_process")
        assert failures(OURS[name](*encoders)) == {}

    def test_processes_train_a_classifier(self, encoders):
        check = named_check(classifier(encoders[1]), "check_grid_search_in_processes")
        check(check.subject.estimator)

    @pytest.mark.usefixtures("in_this_process")
    def test_a_pipeline_fails_what_its_vectorizer_fails(self):
        ours = failures(make_pipeline(TfidfVectorizer(), NBSVMClassifier()))
        theirs = failures(make_pipeline(TfidfVectorizer(), LogisticRegression()))
        assert set(ours) <= set(theirs)
        assert ours.keys().isdisjoint({"check_three_classes", "check_zero_weights"})

    # Its lexicon takes seconds to open in each process, and the English one has the
    # same class: what needs new processes is left to that.
    @pytest.mark.usefixtures("in_this_process")
    def test_the_chinese_lexicon(self):
        assert failures(SnowNLPClassifier()) == {}


@pytest.mark.usefixtures("in_this_process")
class TestCheckTextEstimator:
    def test_a_result_tells_of_each_check(self):
        results = check_text_estimator(Counts(), on_skip=None)
        # numpy has StringDType from 2.0 on.
        asked = [one for one in results if "string_dtype" not in one["check_name"]]
        assert {one["status"] for one in asked} == {"passed"}
        assert set(results[0]) == {
            "estimator",
            "check_name",
            "exception",
            "status",
            "expected_to_fail",
            "expected_to_fail_reason",
        }

    def test_the_first_failure_is_raised(self):
        with pytest.raises(AssertionError, match="fit returned None"):
            check_text_estimator(ReturnsNothing())

    def test_or_warned_of_or_only_told(self):
        with pytest.warns(EstimatorCheckFailedWarning, match="string is False"):
            check_text_estimator(TaggedAsNumbers(), on_fail="warn", on_skip=None)
        assert set(failures(TaggedAsNumbers())) == {"check_tags"}

    def test_a_failure_may_be_expected(self):
        expected = {
            "check_tags": "it may read numbers one day",
            "check_clone": "passes",
        }
        results = check_text_estimator(
            TaggedAsNumbers(), expected_failed_checks=expected, on_skip=None
        )
        by_name = {one["check_name"]: one for one in results}
        assert by_name["check_tags"]["status"] == "xfail"
        assert (
            by_name["check_tags"]["expected_to_fail_reason"] == expected["check_tags"]
        )
        assert by_name["check_clone"]["status"] == "passed"

    def test_what_cannot_be_run_is_skipped_with_a_reason(self):
        with pytest.warns(SkipTestWarning) as caught:
            check_text_estimator(Votes())
        assert any("no random_state" in str(one.message) for one in caught)

    def test_each_result_is_called_back(self):
        told = []
        results = check_text_estimator(
            Counts(),
            on_fail=None,
            on_skip=None,
            callback=lambda **result: told.append(result),
        )
        assert told == results

    @pytest.mark.parametrize(
        ("estimator", "options", "error", "message"),
        [
            (Counts, {}, TypeError, "Counts is a class"),
            ("words", {}, TypeError, "str has no get_params"),
            (Counts(), {"callback": print}, ValueError, "callback cannot be"),
            (Counts(), {"on_fail": "ignore"}, ValueError, "on_fail='ignore'"),
            (Counts(), {"on_skip": "raise"}, ValueError, "on_skip='raise'"),
        ],
    )
    def test_what_it_is_not_for_is_refused(self, estimator, options, error, message):
        with pytest.raises(error, match=message):
            check_text_estimator(estimator, **options)

    def test_the_estimator_stays_as_it_is(self):
        counts = Counts(scale=2.0)
        failures(counts)
        assert vars(counts) == {"scale": 2.0, "random_state": None}

    def test_the_tolerance_is_the_caller_s_to_state(self):
        assert "check_one_text" in failures(Drifting(), tolerance=1e-5)
        assert failures(Drifting(), tolerance=1e-2) == {}


class Drifting(Counts):
    """Numbers that move a little with the batch, as those of a network in bfloat16."""

    def count(self, texts):
        return super().count(texts) * (1 + 1e-3 / len(texts))


class TestNewProcesses:
    @pytest.mark.parametrize(
        ("module", "reason"),
        [("__main__", "defined in __main__"), ("no_such_module", "cannot import")],
    )
    def test_a_class_that_they_cannot_import_is_not_sent_there(self, module, reason):
        elsewhere = type("Elsewhere", (Counts,), {"__module__": module})
        check = named_check(elsewhere(), "check_grid_search_in_processes")
        with pytest.raises(SkipTest, match=reason):
            check(check.subject.estimator)

    def test_what_dies_there_is_told_and_the_next_is_asked(self):
        check = named_check(DiesElsewhere(), "check_pickle_in_new_process")
        for _ in range(2):
            with pytest.raises(AssertionError, match="the process died with status"):
                check(check.subject.estimator)


def named_check(estimator, name):
    pairs = text_checks_generator(estimator)
    return next(check for _, check in pairs if check.__name__ == name)


class TestParametrize:
    def test_names_tell_estimator_and_check(self):
        mark = parametrize_with_text_checks([Counts(scale=2.0), Votes()])
        names, pairs = mark.args
        assert names == ("estimator", "check")
        ids = [mark.kwargs["ids"](value) for value in pairs[0]]
        assert ids == ["Counts(scale=2.0)", "check_constructor_stores_parameters"]
        assert {type(one) for one, _ in pairs} == {Counts, Votes}

    def test_expected_failures_are_marked(self):
        mark = parametrize_with_text_checks(
            [TaggedAsNumbers()],
            expected_failed_checks=lambda estimator: {
                "check_tags": f"{type(estimator).__name__} reads numbers too"
            },
            xfail_strict=True,
        )
        (marked,) = [p for p in mark.args[1] if hasattr(p, "marks")]
        (xfail,) = marked.marks
        assert xfail.name == "xfail"
        assert xfail.kwargs == {
            "reason": "TaggedAsNumbers reads numbers too",
            "strict": True,
        }

    def test_classes_are_refused(self):
        with pytest.raises(TypeError, match="pass Counts\\(\\)"):
            parametrize_with_text_checks([Counts])


@parametrize_with_text_checks([Counts(random_state=3)])
def test_tests_made_so_pass(estimator, check):
    check(estimator)


@pytest.mark.usefixtures("in_this_process")
class TestWhatApplies:
    def test_classifiers_are_not_asked_for_features(self):
        names = {
            one["check_name"] for one in check_text_estimator(Votes(), on_skip=None)
        }
        assert "check_feature_names" not in names
        assert "check_labels_of_bool" in names

    def test_numbers_are_compared_in_their_own_size(self):
        large = Counts(scale=1e9)
        named_check(large, "check_order")(large)
        assert np.max(large.fit(["a a"]).transform(["a a"])) > 1e8
