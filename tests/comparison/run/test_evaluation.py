import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, get_scorer, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sktransfer.comparison.run.evaluation import (
    Prediction,
    Scoring,
    choose_metric,
    measure,
    predict,
)
from sktransfer.exceptions import InvalidParameterError

CLASSES = np.array(["a", "b", "c"])


class Fixed(ClassifierMixin, BaseEstimator):
    """Answers that were written down beforehand, and a count of the questions."""

    def __init__(self, table=None, classes=("a", "b")):
        self.table = table
        self.classes = classes
        self.classes_ = np.array(classes)
        self.n_asked = 0

    def predict_proba(self, X):
        self.n_asked += 1
        return np.asarray(self.table, dtype=float)

    def predict(self, X):
        return self.classes_[np.asarray(self.table).argmax(axis=1)]


def score(scoring, table, labels, classes=CLASSES):
    model = Fixed(table)
    said = predict(model, ["x"] * len(labels), classes)
    labels = np.array(labels)
    texts = ["x"] * len(labels)
    return measure(model, said, texts, labels, classes, Scoring.resolve(scoring))


TABLE = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]]
LABELS = ["a", "a", "b", "b"]


class TestPrediction:
    def test_a_class_that_was_never_seen_gets_no_probability(self):
        said = predict(Fixed(TABLE), ["x"] * 4, CLASSES)
        assert said.probabilities[:, 2].tolist() == [0] * 4
        assert said.probabilities[:, :2].tolist() == TABLE

    def test_decisions_stand_in_for_probabilities(self):
        X = np.array([[-1.0], [1.0], [2.0]])
        model = LinearSVC(random_state=0).fit(X, ["a", "b", "b"])
        said = predict(model, X, CLASSES[:2])
        assert np.allclose(said.probabilities.sum(axis=1), 1)
        assert (said.probabilities.argmax(axis=1) == (said.decisions > 0)).all()

    def test_so_they_do_for_several_classes(self):
        X = np.eye(3)
        model = LinearSVC(random_state=0).fit(X, CLASSES)
        said = predict(model, X, CLASSES)
        assert np.allclose(said.probabilities.sum(axis=1), 1)
        assert (CLASSES[said.probabilities.argmax(axis=1)] == said.labels).all()

    def test_without_either_they_are_missing(self):
        class Bare(ClassifierMixin, BaseEstimator):
            classes_ = CLASSES

            def predict(self, X):
                return np.array(["a"] * len(X))

        assert np.isnan(predict(Bare(), ["x"], CLASSES).probabilities).all()

    def test_our_networks_are_asked_once(self, network, monkeypatch):
        model = network().fit(["good", "bad"] * 4, ["pos", "neg"] * 4)
        monkeypatch.setattr(type(model), "predict", None)
        said = predict(model, ["good", "bad"], model.classes_)
        monkeypatch.undo()
        assert said.labels.tolist() == model.predict(["good", "bad"]).tolist()

    def test_so_are_subclasses_that_predict_alike(self, words, monkeypatch):
        class Own(LogisticRegression):
            pass

        model = make_pipeline(words[0], Own()).fit(["good", "bad"], ["pos", "neg"])
        read, transform = [], words[0].transform
        monkeypatch.setattr(
            words[0], "transform", lambda X: read.append(X) or transform(X)
        )
        assert predict(model, ["bad"], model.classes_).labels.tolist() == ["neg"]
        assert read == [["bad"]]

    def test_a_subclass_that_predicts_otherwise_is_asked(self, words):
        class Sour(LogisticRegression):
            def predict(self, X):
                return np.array(["neg"] * X.shape[0])

        model = make_pipeline(words[0], Sour()).fit(["good", "bad"], ["pos", "neg"])
        assert predict(model, ["good"], model.classes_).labels.tolist() == ["neg"]


class TestMetrics:
    def test_the_three_are_always_told(self):
        found = score("accuracy", TABLE, LABELS)
        assert found == {
            "accuracy": 0.5,
            "balanced_accuracy": 0.5,
            "f1_macro": 0.5,
            "score": 0.5,
        }

    def test_another_main_metric_is_told_by_its_name_too(self):
        found = score("roc_auc", TABLE, LABELS, CLASSES[:2])
        assert found["score"] == found["roc_auc"] == 0.75

    @pytest.mark.parametrize(
        "name", ["neg_log_loss", "f1_weighted", "matthews_corrcoef"]
    )
    def test_metrics_agree_with_scikit_learn(self, name):
        model = Fixed(TABLE)
        expected = get_scorer(name)(model, ["x"] * 4, np.array(LABELS))
        assert score(name, TABLE, LABELS, CLASSES[:2])["score"] == expected

    def test_metrics_of_decisions_ask_for_them_once(self):
        X = np.array([[-1.0], [1.0], [2.0], [-2.0]])
        labels = np.array(["a", "b", "a", "a"])
        model = LinearSVC(random_state=0).fit(X, labels)
        said = predict(model, X, CLASSES[:2])
        expected = get_scorer("roc_auc")(model, X, labels)
        scoring = Scoring.resolve("roc_auc")
        assert (
            measure(model, said, X, labels, CLASSES[:2], scoring)["score"] == expected
        )

    def test_a_scorer_of_ones_own(self):
        scorer = make_scorer(f1_score, pos_label="b")
        found = score(scorer, TABLE, LABELS)
        assert found["f1_score"] == found["score"] == 0.5

    def test_a_function_is_given_the_estimator_itself(self):
        def n_classes(model, X, y):
            return len(model.classes_)

        assert score(n_classes, TABLE, LABELS)["n_classes"] == 2

    def test_a_metric_of_ones_own_may_be_called_accuracy(self):
        def accuracy(truth, said):
            return -3.0

        found = score(make_scorer(accuracy), TABLE, LABELS)
        assert found["score"] == found["own_accuracy"] == -3.0
        assert found["accuracy"] == score("accuracy", TABLE, LABELS)["score"]

    def test_a_class_missing_from_the_fold_warns_of_nothing(self):
        assert score("accuracy", TABLE, ["a"] * 4)["balanced_accuracy"] == 0.5

    def test_an_unknown_metric_is_named(self):
        with pytest.raises(InvalidParameterError, match="scoring='acuracy'"):
            Scoring.resolve("acuracy")

    @pytest.mark.parametrize("labels", [["a", "b"], [0, 1, 2]])
    def test_a_metric_of_one_class_needs_to_know_which(self, labels):
        with pytest.raises(InvalidParameterError, match="take 'f1_macro'"):
            Scoring.resolve("f1", labels)
        assert Scoring.resolve("f1", [0, 1]).name == "f1"

    def test_shares_are_known(self):
        names = ["accuracy", "f1_macro", "roc_auc", "neg_log_loss", "matthews_corrcoef"]
        shares = [Scoring.resolve(name).is_share for name in names]
        assert shares == [True, True, True, False, False]


def test_a_prediction_holds_seconds():
    said = predict(Fixed(TABLE), ["x"] * 4, CLASSES)
    assert isinstance(said, Prediction)
    assert said.seconds >= 0


class TestChoiceOfMetric:
    @pytest.mark.parametrize(
        "counts",
        [[50, 50], [70, 30], [50, 30, 20], [40, 40, 20], [20] * 5, [8, 8, 8, 8, 4]],
    )
    def test_accuracy_decides_between_classes_that_are_not_skewed(self, counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        assert choose_metric(labels) == ("accuracy", "")
        assert Scoring.resolve("auto", labels).name == "accuracy"

    @pytest.mark.parametrize("counts", [[71, 29], [255, 45], [45, 40, 15], [9, 1]])
    def test_balanced_accuracy_does_where_one_is_common_or_rare(self, counts):
        labels = np.repeat(np.arange(len(counts)), counts)
        name, why = choose_metric(labels)
        assert name == "balanced_accuracy"
        verb = "is" if counts[-1] == 1 else "are"
        rarest = f"{counts[-1]} of {sum(counts)} texts {verb} {len(counts) - 1}"
        assert why == f"{rarest}, so balanced accuracy decides"

    def test_a_metric_that_is_named_decides_whatever_the_labels(self):
        found = Scoring.resolve("accuracy", ["a"] * 9 + ["b"])
        assert (found.name, found.reason) == ("accuracy", "")
