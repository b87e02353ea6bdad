import threading
import time
from typing import ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.comparing import compare_strategies
from sktransfer.comparison.run import speed
from sktransfer.datasets import load_mini_reviews
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    SktransferWarning,
)
from sktransfer.plotting.domains import DomainMapDisplay

pytestmark = pytest.mark.slow


class Recorder(ClassifierMixin, BaseEstimator):
    """Guesses, and keeps what it was given."""

    seen: ClassVar = []

    def __init__(self, fail_at=None, seconds=0.0):
        self.fail_at = fail_at
        self.seconds = seconds

    def fit(self, X, y):
        time.sleep(self.seconds)
        type(self).seen.append((list(X), list(y)))
        self.classes_ = np.unique(y)
        if self.fail_at == len(self.seen):
            raise RuntimeError("no more\nmemory")
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def recorder():
    Recorder.seen = []
    return Recorder


@pytest.fixture
def counted(monkeypatch):
    """How many texts have gone through a frozen encoder since the test began."""
    monkeypatch.setattr(speed, "SECONDS", 0)
    memory_store().clear()
    before = n_texts_encoded()
    yield lambda: n_texts_encoded() - before
    memory_store().clear()


class TestSameFolds:
    def test_scores_are_those_of_scikit_learn_on_the_same_folds(
        self, words, sentiment_texts
    ):
        texts, labels = sentiment_texts
        cv = StratifiedKFold(4, shuffle=True, random_state=3)
        found = compare_strategies(
            texts, labels, strategies={"words": words}, baseline=None, cv=cv
        )
        expected = cross_val_score(words, texts, labels, cv=cv)
        assert found.folds["score"].tolist() == expected.tolist()
        assert found.results["score"][0] == pytest.approx(expected.mean())

    def test_every_strategy_sees_the_same_texts(self, compare, recorder):
        compare({"a": recorder(), "b": recorder()}, n_repeats=2)
        assert len(recorder.seen) == 12
        assert recorder.seen[:6] == recorder.seen[6:]

    def test_copies_are_never_on_both_sides(self, recorder):
        texts = [f"text {n // 2}{'!' * (n % 2)}" for n in range(24)]
        labels = np.repeat(["a", "b"], 12)
        found = compare_strategies(
            texts, labels, strategies={"r": recorder()}, baseline=None, cv=3
        )
        table = found.predictions["r"]
        for fold, (seen, _) in enumerate(recorder.seen):
            sizes = found.folds["n_test"].cumsum()
            tested = table["row"][
                sizes[fold] - found.folds["n_test"][fold] : sizes[fold]
            ]
            theirs = {texts[row].strip("!") for row in tested}
            assert not theirs & {text.strip("!") for text in seen}

    def test_groups_stay_together(self, recorder, sentiment_texts):
        texts, labels = sentiment_texts
        groups = np.arange(len(texts)) // 4
        group_of = dict(zip(texts, groups, strict=True))
        compare_strategies(
            texts,
            labels,
            strategies={"r": recorder()},
            baseline=None,
            groups=groups,
            cv=3,
        )
        for seen, _ in recorder.seen:
            trained = {group_of[text] for text in seen}
            assert len(seen) == sum(group_of[text] in trained for text in texts)

    @pytest.mark.parametrize("container", [tuple, np.array, pd.Series, pl.Series])
    def test_any_container_will_do(self, container, compare, words, sentiment_texts):
        texts, labels = sentiment_texts
        one = compare({"words": words})
        other = compare({"words": words}, container(texts), container(labels))
        assert one.folds["score"].equals(other.folds["score"])


class TestFalseCertainty:
    def test_three_folds_that_agree_show_nothing(self):
        texts, labels = load_mini_reviews("en", return_X_y=True)
        found = compare_strategies(
            texts[:60], labels[:60], strategies=["tfidf"], cv=3, random_state=0
        )
        differences = found.folds.pivot(
            index="fold", columns="strategy", values="score"
        ).diff(axis=1)
        assert differences["tfidf"].nunique() == 1
        row = found.results.set_index("strategy").loc["majority"]
        assert row["difference"] == pytest.approx(0.05)
        assert np.isnan(row["pvalue"])  # what guesses is no strategy
        # Stratified folds give it the same score everywhere.
        assert 0.6 < row["score_high"] < 0.7
        said = " ".join(found.verdicts)
        assert "none of these strategies can be ruled out" in said.lower()
        assert "better" not in said

    def test_learners_that_tie_in_all_folds_show_nothing(self, compare):
        rules = {"one": DummyClassifier(), "a": DummyClassifier(strategy="uniform")}
        found = compare(rules, baseline="one")
        assert "is better than" not in " ".join(found.verdicts)


class TestTrainSizes:
    def test_smaller_sizes_have_intervals_by_their_predictions_too(self, compare):
        # Half of the texts are right in each of the stratified folds.
        commonest = DummyClassifier(strategy="most_frequent")
        table = compare({"commonest": commonest}, train_sizes=[8, 32]).results
        width = (table["score_high"] - table["score_low"]).tolist()
        usual = 2 * stats.t.ppf(0.975, 95) * 0.5 / np.sqrt(95)
        assert width == pytest.approx([1.17 * usual] * 2, rel=0.02)

    def test_each_size_is_a_row_and_the_smaller_is_inside(self, compare, recorder):
        found = compare({"r": recorder()}, train_sizes=[8, 16, 999])
        assert found.results["train_size"].tolist() == [8, 16, 64]
        fold = [set(recorder.seen[place][0]) for place in (0, 3, 6)]
        assert fold[0] < fold[1] < fold[2]
        assert [len(part) for part in fold] == [8, 16, 64]

    def test_predictions_are_of_the_largest(self, compare, words):
        found = compare({"words": words}, train_sizes=[4, 32])
        table = found.predictions["words"]
        assert sorted(table["row"]) == list(range(96))
        merged = (table["label"] == table["predicted"]).mean()
        assert merged == pytest.approx(found.results["accuracy"].iloc[-1])

    @pytest.mark.slow
    def test_what_learns_from_the_source_alone_has_size_0(
        self, compare, network, source_texts
    ):
        found = compare({"n": network()}, source=source_texts, train_sizes=[8, 16])
        by_name = found.results.groupby("strategy")["train_size"].apply(list).to_dict()
        assert by_name == {
            "n": [8, 16],
            "n (source only)": [0],
            "n (joint)": [8, 16],
            "n (transferred)": [8, 16],
        }
        assert "n (source only)" in found.predictions


class TestEachTextOnce:
    @pytest.mark.slow
    def test_all_strategies_share_the_vectors(
        self, compare, network, counted, source_texts
    ):
        strategies = {
            "linear": network(hidden_layer_sizes=()),
            "deep": network(),
            "tuned": network(strategy="fine_tune"),
        }
        found = compare(strategies, source=source_texts)
        assert set(found.results["status"]) == {"done"}
        # 96 of the target and 20 of the source, each read once.
        assert counted() == 116

    def test_the_map_of_the_domains_finds_them(
        self, compare, network, counted, source_texts, tmp_path
    ):
        found = compare({"n": network()}, source=source_texts, folder=tmp_path)
        memory_store().clear()
        before = counted()
        assert isinstance(found.encoder, BertFeaturizer)
        DomainMapDisplay.from_comparison(found)
        assert counted() == before == 116

    def test_what_keeps_no_vectors_is_not_charged_for_them(
        self, compare, tiny_bert, counted
    ):
        encoder = BertFeaturizer(tiny_bert, dtype="float32", device="cpu", cache=None)
        compare({"n": make_pipeline(encoder, LogisticRegression())})
        assert counted() == 3 * 96

    def test_what_encoding_took_is_in_the_seconds(self, compare, network, counted):
        found = compare({"a": network(), "b": network()})
        assert (found.results["predict_seconds"] > 32 / 1e5).all()
        ratio = np.divide(*found.results["predict_seconds"])
        assert 0.2 < ratio < 5

    def test_the_best_one_is_fitted_without_encoding_again(
        self, compare, network, counted, tmp_path
    ):
        found = compare({"n": network()}, folder=tmp_path)
        model = found.best_estimator()
        assert counted() == 96
        assert model.encoder_.cache == "memory"
        assert model.get_params()["encoder__cache"] == "memory"


class TestFailures:
    def test_a_failing_strategy_is_a_row_with_its_error(self, compare, words, recorder):
        found = compare({"bad": recorder(fail_at=2), "words": words})
        table = found.results.set_index("strategy")
        assert table.loc["bad", "status"] == "failed"
        assert table.loc["bad", "error"] == "RuntimeError: no more memory"
        assert table.loc["bad", "n_folds"] == 1
        assert np.isnan(table.loc["bad", "score"])
        assert table.loc["words", "status"] == "done"
        assert len(recorder.seen) == 2
        assert "bad" not in found.predictions
        assert found.best_strategy == "words"
        assert "Failed: bad (see the column error)." in found.verdicts

    def test_a_score_that_is_no_number_is_an_error(self, compare, words):
        def broken(model, X, y):
            return float("nan")

        found = compare({"words": words}, scoring=broken)
        assert found.results["error"][0].startswith("broken is nan")

    def test_a_label_that_nobody_gave_is_an_error(self, compare, network):
        fitted = network().fit(["good", "bad"] * 4, ["yes", "no"] * 4)
        found = compare({"as it is": FrozenEstimator(fitted)})
        assert "was predicted, but y has ['neg', 'pos']" in found.results["error"][0]

    def test_a_source_that_cannot_be_learnt_from_fails_its_rows_only(
        self, compare, network
    ):
        strange = ["good", "bad", "so so"] * 4, ["yes", "no", "maybe"] * 4
        with pytest.warns(UserWarning, match="the last layer starts anew"):
            found = compare({"n": network()}, source=strange)
        table = found.results.set_index("strategy")["status"].to_dict()
        assert table == {
            "n": "done",
            "n (source only)": "failed",
            "n (transferred)": "done",
            "n (joint)": "failed",
        }

    def test_an_interrupt_is_none(self, compare, words):
        class Interrupted(DummyClassifier):
            def fit(self, X, y, sample_weight=None):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            compare({"i": Interrupted(), "words": words})


class TestTimeBudget:
    def test_what_is_left_is_skipped_and_says_so(self, compare, recorder, words):
        found = compare(
            {"slow": recorder(seconds=0.3), "words": words}, time_budget=0.2
        )
        assert found.results["status"].tolist() == ["skipped", "skipped"]
        first, second = found.results["error"]
        assert first == (
            "the time budget of 0.2 seconds was used up (1 of 3 folds were run)"
        )
        assert "(0 of 3 folds were run)" in second
        with pytest.raises(InvalidParameterError, match="none is best"):
            _ = found.best_strategy

    def test_the_journal_goes_on_with_more_time(self, compare, recorder, tmp_path):
        options = {"folder": tmp_path}
        compare({"slow": recorder(seconds=0.3)}, time_budget=0.2, **options)
        found = compare({"slow": recorder(seconds=0.3)}, **options)
        assert found.results["status"].tolist() == ["done"]
        assert len(recorder.seen) == 3

    @pytest.mark.parametrize("budget", [0, -1, float("nan")])
    def test_no_time_is_refused(self, compare, words, budget):
        with pytest.raises(InvalidParameterError, match="time_budget"):
            compare({"words": words}, time_budget=budget)


class TestSource:
    @pytest.fixture
    def found(self, compare, network, source_texts):
        return compare({"n": network(strategy="fine_tune")}, source=source_texts)

    def test_every_use_is_a_row(self, found):
        assert found.results["strategy"].tolist() == [
            "n",
            "n (source only)",
            "n (transferred)",
            "n (joint)",
        ]

    def test_the_distance_is_told(self, found):
        assert 0 <= found.domain_distance <= 2
        assert any("proxy A-distance" in verdict for verdict in found.verdicts)

    def test_whether_it_helped_is_told(self, found):
        told = [verdict for verdict in found.verdicts if " against n: " in verdict]
        assert len(told) == 2

    def test_the_source_model_is_trained_once(
        self, compare, network, source_texts, monkeypatch
    ):
        fitted = []
        fit = TransferSentimentClassifier.fit

        def spy(self, X, y, *args, **kwargs):
            fitted.append(len(X))
            return fit(self, X, y, *args, **kwargs)

        monkeypatch.setattr(TransferSentimentClassifier, "fit", spy)
        compare({"n": network()}, source=source_texts)
        # alone, source, transferred, joint
        assert fitted == [*[64] * 3, 20, *[64] * 3, *[84] * 3]

    def test_copies_of_target_texts_are_left_out(self, compare, words, sentiment_texts):
        texts, labels = sentiment_texts
        mixed = [*texts[:50], "a new one", "a new two"], [*labels[:50], "pos", "neg"]
        found = compare({"words": words}, source=mixed)
        assert found.source[0] == ["a new one", "a new two"]

    def test_it_is_drawn_from_where_it_is_large(self, compare, words, source_texts):
        found = compare({"words": words}, source=source_texts, max_source=6)
        assert len(found.source[0]) == 6
        assert sorted(found.source[1]) == ["neg"] * 3 + ["pos"] * 3

    def test_the_best_estimators_can_be_had(self, found, sentiment_texts):
        texts, _ = sentiment_texts
        for name in found.results["strategy"]:
            model = found.estimator(name)
            assert isinstance(model, TransferSentimentClassifier)
            assert set(model.predict(texts)) <= {"pos", "neg"}

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("movies", "source is a str, but a pair"),
            ((["a", "b"], [1]), "2 rows but source's y has 1"),
            ((["a", "b"], ["pos", "pos"]), "but at least 2 are needed"),
        ],
    )
    def test_bad_sources_are_refused(self, compare, words, source, message):
        with pytest.raises(InvalidInputError, match=message):
            compare({"words": words}, source=source)

    def test_one_that_nobody_learns_from_is_told(self, compare, source_texts):
        with pytest.warns(SktransferWarning, match="no strategy that is compared"):
            compare(["majority"], source=source_texts, baseline=None)

    def test_one_class_cannot_be_told_apart(self, compare, words):
        with pytest.raises(InvalidInputError, match="y holds the class 'pos' only"):
            compare({"words": words}, ["a", "b", "c"], ["pos"] * 3)


class TestNestedSearch:
    @pytest.mark.slow
    def test_each_training_part_is_searched(self, compare, words):
        grid = {"logisticregression__C": [1e-6, 1.0]}
        found = compare({"words": words}, param_grids={"words": grid})
        assert (
            found.folds["best_params"].tolist()
            == ["{'logisticregression__C': 1.0}"] * 3
        )
        best = found.best_estimator()
        assert best[-1].C == 1.0
        tuned = found.best_estimator(tune_threshold=True)
        assert tuned.estimator[-1].C == 1.0

    def test_a_joint_model_takes_the_same_grid(self, compare, network, source_texts):
        grid = {"dropout": [0.0, 0.5]}
        found = compare(
            {"n": network()}, source=source_texts, param_grids={"n (joint)": grid}
        )
        row = found.folds[found.folds["strategy"] == "n (joint)"]
        assert row["best_params"].str.contains("estimator__dropout").all()

    def test_a_grid_for_nothing_is_refused(self, compare, words):
        with pytest.raises(
            InvalidParameterError, match="param_grids has a grid for 'b'"
        ):
            compare({"words": words}, param_grids={"b": {}})


class TestSeeds:
    def test_the_same_seed_gives_the_same_table(self, compare, guess):
        one, other = (compare({"guess": guess}) for _ in range(2))
        assert one.folds["score"].equals(other.folds["score"])
        another = compare({"guess": guess}, random_state=1)
        assert not one.folds["score"].equals(another.folds["score"])

    def test_a_seed_of_ones_own_is_kept(self, compare):
        mine = DummyClassifier(strategy="uniform", random_state=5)
        found = compare({"mine": mine})
        assert found.best_estimator().random_state == 5

    def test_estimators_are_left_as_they_were(self, compare, network):
        mine = network()
        before = clone(mine).get_params()["random_state"]
        compare({"mine": mine})
        assert mine.random_state is before is None
        assert not hasattr(mine, "net_")

    def test_an_estimator_that_is_frozen_is_only_asked(self, compare, network):
        fitted = network().fit(["good", "bad"] * 4, ["pos", "neg"] * 4)
        found = compare({"as it is": FrozenEstimator(fitted)})
        assert found.results["status"].tolist() == ["done"]


class TestThreshold:
    def test_it_is_tuned_on_request(self, compare, words):
        found = compare({"words": words})
        tuned = found.best_estimator(tune_threshold="balanced_accuracy")
        assert 0 <= tuned.best_threshold_ <= 1
        assert set(tuned.predict(["good film", "bad film"])) == {"pos", "neg"}

    def test_groups_are_kept_there_too(self, words):
        sides = ("good", "bad")
        texts = [f"{word} film{'!' * (n % 2)}" for n in range(20) for word in sides]
        texts += [f"{word} book {n}" for n in range(10) for word in sides]
        labels = np.tile(["pos", "neg"], 30)
        found = compare_strategies(
            texts, labels, strategies={"w": words}, baseline=None, cv=2
        )
        tuned = found.best_estimator(tune_threshold=True)
        keys = [text.strip("!") for text in texts]
        for train, test in tuned.cv:
            assert not {keys[r] for r in train} & {keys[r] for r in test}

    def test_more_classes_have_none(self, guess):
        found = compare_strategies(
            [f"text {n}" for n in range(30)],
            np.tile(["a", "b", "c"], 10),
            strategies={"guess": guess},
            baseline=None,
            cv=2,
        )
        with pytest.raises(InvalidParameterError, match="there are 3 classes"):
            found.best_estimator(tune_threshold=True)


class TestResultsAsTheyCome:
    def test_rows_are_told_as_they_move_on(self, compare, words, recorder):
        told = []
        compare({"bad": recorder(fail_at=2), "words": words}, on_result=told.append)
        states = [(row["strategy"], row["n_folds"], row["status"]) for row in told]
        assert states == [
            ("bad", 0, "running"),
            ("bad", 1, "running"),
            ("bad", 1, "running"),
            ("bad", 1, "failed"),
            ("words", 0, "running"),
            ("words", 1, "running"),
            ("words", 2, "running"),
            ("words", 3, "running"),
            ("words", 3, "done"),
        ]
        assert told[-1]["n_folds_planned"] == 3

    def test_verbose_writes_a_line_a_row(self, compare, words, recorder, capsys):
        compare({"bad": recorder(fail_at=1), "words": words}, verbose=1)
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "bad, 64 texts: failed, RuntimeError: no more memory"
        assert lines[1].startswith("words, 64 texts: done, 1.000, ")


class TestWorkers:
    @pytest.mark.slow
    def test_they_give_the_same_table(self, compare, words, network):
        strategies = {"words": words, "n": network()}
        one, other = (compare(strategies, n_jobs=n_jobs) for n_jobs in (1, 2))
        columns = ["strategy", "repeat", "fold", "score", "n_train"]
        assert one.folds[columns].equals(other.folds[columns])
        assert one.predictions["n"]["row"].equals(other.predictions["n"]["row"])

    @pytest.mark.slow
    def test_they_train_models_of_the_source_too(
        self, compare, network, source_texts, tmp_path
    ):
        strategies = {"n": network(strategy="fine_tune")}
        one = compare(strategies, source=source_texts)
        other = compare(strategies, source=source_texts, n_jobs=2, folder=tmp_path)
        assert set(other.results["status"]) == {"done"}
        columns = ["strategy", "fold", "n_train", "status"]
        assert one.folds[columns].equals(other.folds[columns])
        # One thread or two sum in another order.
        np.testing.assert_allclose(
            one.folds["score"].to_numpy(float), other.folds["score"], atol=0.1
        )
        journal = (tmp_path / "journal.jsonl").read_text("utf-8")
        assert journal.count('"entry":"source"') == 1

    def test_a_source_that_cannot_be_learnt_is_told_in_its_rows(
        self, compare, source_texts
    ):
        # No word of the source is left to learn from.
        counts = CountVectorizer(stop_words=["good", "bad", "book", "no"])
        bad = make_pipeline(counts, LogisticRegression())
        found = compare({"bad": bad}, source=source_texts, n_jobs=2)
        rows = found.results.set_index("strategy")
        assert rows.loc["bad", "status"] == "done"
        assert rows.loc["bad (source only)", "status"] == "failed"
        assert "empty vocabulary" in rows.loc["bad (source only)", "error"]

    def test_threads_can_compare_at_the_same_time(self, compare, words):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(compare({"words": words})))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0].folds["score"].equals(found[1].folds["score"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"groups": [1, 2]}, "X has 96 texts but groups has 2"),
            ({"max_source": 1}, "max_source=1"),
            ({"max_source": 2.5}, "max_source=2.5"),
            ({"scoring": "nonsense"}, "scoring='nonsense'"),
        ],
    )
    def test_options_out_of_range_are_named(self, compare, words, options, message):
        with pytest.raises(ValueError, match=message):
            compare({"words": words}, **options)

    def test_labels_are_checked(self, words):
        with pytest.raises(InvalidInputError, match="X has 2 rows but y has 1"):
            compare_strategies(["a", "b"], [1], strategies={"words": words})

    def test_texts_are_checked(self, words):
        with pytest.raises(InvalidInputError, match=r"X\[1\] is None"):
            compare_strategies(["a", None], [1, 0], strategies={"words": words})


class TestChecks:
    def test_what_is_true_of_the_data_is_told_before_anything_runs(
        self, compare, words
    ):
        told = []
        compare(
            {"words": words},
            cv=2,
            on_finding=lambda finding: told.append(finding["number"]),
            on_result=lambda row: told.append(row["status"]),
        )
        assert told[:2] == ["SKT007", "SKT008"]
        assert told[2] == "running"

    def test_all_findings_are_a_table(self, compare, words):
        checks = compare({"a": words, "b": clone(words)}).checks
        assert checks["number"].tolist() == ["SKT008", "SKT013"]
        assert checks["strategies"].tolist() == [[], ["a", "b"]]
