"""Where classes are skewed, labels go by a probability beside the class's share."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sktransfer.comparison.comparing import compare_strategies
from sktransfer.comparison.setup.candidates import PooledClassifier
from sktransfer.comparison.setup.thresholds import BalancedThresholdClassifier
from sktransfer.exceptions import InvalidParameterError
from sktransfer.explanation.explaining import explain
from sktransfer.persistence import load, save

TEXTS = [f"a {word} film no {n}" for n in range(10) for word in ("good", "fine")] + [
    f"a bad film no {n}" for n in range(6)
]
LABELS = np.array(["pos"] * 20 + ["neg"] * 6)


def weak():
    """Learns little, so that probabilities stay near the shares."""
    return make_pipeline(CountVectorizer(), LogisticRegression(C=0.02))


class TestLabels:
    def test_of_two_classes_the_cut_is_at_the_share(self):
        ours = BalancedThresholdClassifier(weak()).fit(TEXTS, LABELS)
        share = float(np.mean(LABELS == "pos"))
        theirs = FixedThresholdClassifier(
            weak(), threshold=share, pos_label="pos", response_method="predict_proba"
        )
        theirs.fit(TEXTS, LABELS)
        assert ours.predict(TEXTS).tolist() == theirs.predict(TEXTS).tolist()
        assert set(ours.predict(TEXTS)) > set(weak().fit(TEXTS, LABELS).predict(TEXTS))

    def test_of_several_it_is_the_largest_multiple_of_the_share(self):
        labels = np.array([0] * 14 + [1] * 6 + [2] * 6)
        model = BalancedThresholdClassifier(weak()).fit(TEXTS, labels)
        assert model.shares_.tolist() == [14 / 26, 6 / 26, 6 / 26]
        table = np.array([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [1.0, 0.0, 0.0]])
        assert model.decide(table).tolist() == [1, 2, 0]

    def test_probabilities_stay_as_they_are(self):
        ours = BalancedThresholdClassifier(weak()).fit(TEXTS, LABELS)
        plain = weak().fit(TEXTS, LABELS)
        np.testing.assert_array_equal(
            ours.predict_proba(TEXTS), plain.predict_proba(TEXTS)
        )

    def test_texts_of_a_source_count_by_their_weight(self):
        source = ["a good book", "a bad book"], ["pos", "neg"]
        model = PooledClassifier(BalancedThresholdClassifier(weak()), *source)
        model.fit(TEXTS, LABELS)
        # Half of the weight is the source's, which is balanced.
        assert model.estimator_.shares_ == pytest.approx(
            [(6 / 26 + 0.5) / 2, (20 / 26 + 0.5) / 2]
        )

    @pytest.mark.slow
    def test_it_saves_loads_and_explains(self, tmp_path):
        model = BalancedThresholdClassifier(weak()).fit(TEXTS, LABELS)
        save(model, tmp_path / "model")
        loaded = load(tmp_path / "model")
        assert loaded.predict(TEXTS).tolist() == model.predict(TEXTS).tolist()
        assert explain(model, "a bad film").method == "exact"


class TestComparison:
    @pytest.fixture
    def strategies(self):
        return {
            "weak": weak(),
            "machine": make_pipeline(CountVectorizer(), LinearSVC()),
            "guess": DummyClassifier(),
        }

    def compare(self, strategies, **options):
        defaults = {"cv": 3, "baseline": None, "random_state": 0}
        return compare_strategies(
            TEXTS, LABELS, strategies=strategies, **defaults | options
        )

    def test_rows_say_which_of_them_have_it(self, strategies):
        found = self.compare(strategies, threshold="balanced")
        table = found.results.set_index("strategy")
        assert table["threshold"].to_dict() == {
            "weak": "balanced",
            "machine": None,
            "guess": None,
        }
        head, _, row = found.to_markdown().splitlines()[:3]
        assert "| threshold |" in head
        assert "| balanced |" in row
        plain = self.compare(strategies)
        assert "threshold" not in plain.results
        before = plain.results.set_index("strategy")["score"]
        assert table["score"]["weak"] > before["weak"] == before["guess"] == 0.5

    def test_labels_out_of_fold_are_those_of_the_model(self):
        found = self.compare({"weak": weak()}, threshold="balanced")
        table = found.predictions["weak"]
        assert (table["predicted"] == "neg").sum() > (
            table["probability_neg"] > 0.5
        ).sum()

    def test_the_best_estimator_has_it(self):
        model = self.compare({"weak": weak()}, threshold="balanced").best_estimator()
        expected = BalancedThresholdClassifier(weak()).fit(TEXTS, LABELS)
        assert model.predict(TEXTS).tolist() == expected.predict(TEXTS).tolist()

    @pytest.mark.slow
    def test_it_forgets_the_folder_of_the_comparisons_vectors(self, network, tmp_path):
        found = self.compare(
            {"net": network(hidden_layer_sizes=())},
            folder=tmp_path,
            threshold="balanced",
        )
        model = found.best_estimator()
        assert model.estimator_.encoder_.cache == "memory"

    def test_grids_reach_the_estimator_inside(self):
        grid = {"logisticregression__C": [0.02, 10.0]}
        options = {"param_grids": {"weak": grid}, "threshold": "balanced"}
        found = self.compare({"weak": weak()}, **options)
        assert "estimator__logisticregression__C" in found.folds["best_params"][0]

    def test_a_folder_does_not_mix_thresholds(self, tmp_path):
        self.compare({"weak": weak()}, folder=tmp_path)
        with pytest.raises(InvalidParameterError, match="has run 'weak' with other"):
            self.compare({"weak": weak()}, folder=tmp_path, threshold="balanced")

    def test_other_names_are_refused(self, strategies):
        with pytest.raises(InvalidParameterError, match="threshold='best', but one of"):
            self.compare(strategies, threshold="best")

    @pytest.mark.slow
    def test_a_network_starts_from_the_sources_network(self, network):
        source = ["a good book", "a bad book"] * 4, np.tile(["pos", "neg"], 4)
        found = self.compare(
            {"net": network(hidden_layer_sizes=())}, source=source, threshold="balanced"
        )
        table = found.results.set_index("strategy")
        assert set(table["status"]) == {"done"}
        assert table["threshold"].to_dict() == {
            "net": "balanced",
            "net (source only)": None,
            "net (joint)": "balanced",
            "net (transferred)": "balanced",
        }


class TestMetric:
    def test_a_skewed_folder_tells_the_metric_that_decides(self, tmp_path):
        options = {"strategies": {"weak": weak()}, "baseline": None, "cv": 3}
        found = compare_strategies(
            TEXTS, LABELS, folder=tmp_path, random_state=0, **options
        )
        assert found.scoring == "balanced_accuracy"
        why = "6 of 26 texts are 'neg', so balanced accuracy decides"
        assert found.scoring_reason == why
        assert f"{why}." in found.verdicts
        assert why in repr(found)
        assert found.to_markdown().startswith("| strategy | balanced_accuracy |")
        line = (tmp_path / "journal.jsonl").read_text().partition("\n")[0]
        settings = json.loads(line.partition(" ")[2])["settings"]
        assert settings["scoring"] == "balanced_accuracy"
        with pytest.raises(InvalidParameterError, match="scoring was balanced_acc"):
            compare_strategies(
                TEXTS,
                LABELS,
                folder=tmp_path,
                random_state=0,
                scoring="accuracy",
                **options,
            )
