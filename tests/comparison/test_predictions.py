import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import make_scorer, matthews_corrcoef
from sklearn.model_selection import StratifiedKFold

from sktransfer.comparison.predictions import compare_predictions
from sktransfer.exceptions import (
    InvalidInputError,
    InvalidParameterError,
    SktransferWarning,
)
from sktransfer.report.contents import list_facts, list_mistakes, result_table, usage

N = 60
Y = np.array(["neg", "pos", "pos"] * (N // 3))
FOLDS = np.arange(N) // 3 % 5


def guess(share, seed):
    """Probabilities that are right for about that share of texts."""
    random = np.random.default_rng(seed)
    right = random.random(N) < share
    sure = random.uniform(0.55, 0.95, N)
    good = np.where(right == (Y == "pos"), sure, 1 - sure)
    return np.column_stack([1 - good, good])


GIVEN = {"tfidf": guess(0.8, 1), "mine": guess(0.9, 2)}
LABELS = {name: np.array(["neg", "pos"])[p.argmax(axis=1)] for name, p in GIVEN.items()}


@pytest.fixture(scope="module")
def pooled():
    return compare_predictions(Y, GIVEN)


@pytest.fixture(scope="module")
def folded():
    return compare_predictions(Y, GIVEN, folds=FOLDS)


class TestTable:
    def test_it_is_that_of_a_comparison(self, pooled, compare, words):
        run = compare({"words": words})
        assert pooled.results.columns.tolist() == run.results.columns.tolist()
        assert pooled.folds.columns.tolist() == run.folds.columns.tolist()
        names = [c.replace("_neg", "") for c in pooled.predictions["mine"]]
        assert names == [c.replace("_neg", "") for c in run.predictions["words"]]

    def test_scores_are_those_of_the_predictions(self, pooled):
        scores = pooled.results.set_index("strategy")["score"]
        for name, told in LABELS.items():
            assert scores[name] == pytest.approx((told == Y).mean())
        assert pooled.best_strategy == "mine"
        assert pooled.results["status"].tolist() == ["done"] * 3

    def test_with_folds_there_is_a_row_for_each(self, folded):
        assert len(folded.folds) == 15
        assert folded.folds["n_train"].tolist() == [48] * 15
        assert folded.results["train_size"].tolist() == [48] * 3
        mine = folded.folds[folded.folds["strategy"] == "mine"]
        right = LABELS["mine"] == Y
        expected = [right[fold == FOLDS].mean() for fold in range(5)]
        np.testing.assert_allclose(mine["score"], expected)

    def test_folds_of_a_splitter_are_the_same(self, folded):
        pairs = [
            (np.flatnonzero(fold != FOLDS), np.flatnonzero(fold == FOLDS))
            for fold in range(5)
        ]
        again = compare_predictions(Y, GIVEN, folds=pairs)
        pd.testing.assert_frame_equal(again.results, folded.results)

    def test_without_folds_nobody_knows_what_was_learnt_from(self, pooled):
        assert pooled.results["train_size"].isna().all()
        assert pooled.folds["n_train"].isna().all()
        assert pooled.folds["n_test"].tolist() == [N] * 3

    def test_repeats_are_averaged(self):
        given = {"a": [GIVEN["tfidf"], GIVEN["mine"]]}
        found = compare_predictions(Y, given).results.set_index("strategy")
        shares = [(told == Y).mean() for told in LABELS.values()]
        assert found.loc["a", "score"] == pytest.approx(np.mean(shares))

    def test_those_of_a_comparison_give_the_same_scores(self, compare, words, guess):
        run = compare({"guess": guess, "words": words}, n_repeats=2)
        again = compare_predictions(
            run.labels, run.predictions, texts=run.texts, baseline=None
        )
        assert again.results["accuracy"].tolist() == pytest.approx(
            run.results["accuracy"].tolist()
        )

    def test_any_metric_of_predictions_decides(self):
        given = {name: told[:15] for name, told in GIVEN.items()}
        found = compare_predictions(
            Y[:15], given, scoring=make_scorer(matthews_corrcoef), folds=FOLDS[:15]
        )
        assert found.scoring == "matthews_corrcoef"
        assert found.results["matthews_corrcoef"].notna().all()
        by_rank = compare_predictions(Y[:15], given, scoring="roc_auc")
        assert by_rank.best_strategy == "mine"

    def test_a_class_that_a_fold_lacks_fails_the_row_and_says_why(self):
        # Each fold holds one class only.
        folds = np.where(Y == "pos", 0, 1)
        found = compare_predictions(Y, GIVEN, scoring="roc_auc", folds=folds)
        assert set(found.results["status"]) == {"failed"}
        assert found.results["error"].str.contains("roc_auc|class").all()

    def test_what_was_not_told_is_not_there(self, pooled):
        costs = ["fit_seconds", "predict_seconds", "texts_per_second", "fit_peak_mib"]
        assert pooled.results[costs].isna().all(axis=None)
        head = pooled.to_markdown().splitlines()[0]
        assert "f1 macro" in head
        assert not any(title in head for title in ("fit s", "texts/s", "MiB"))

    def test_nothing_can_be_fitted(self, pooled):
        assert not pooled.has_estimators
        with pytest.raises(InvalidParameterError, match="results only and no estim"):
            pooled.best_estimator()


class TestTold:
    def test_seconds_and_details_fill_their_columns(self):
        found = compare_predictions(
            Y,
            GIVEN,
            folds=FOLDS,
            seconds={"mine": 0.1, "tfidf": (2.0, 0.3)},
            details={"mine": {"encoder": "my-bert", "kind": "strategy"}},
        )
        rows = found.results.set_index("strategy")
        assert rows.loc["mine", "fit_seconds"] == 0.1
        assert rows.loc["tfidf", ["fit_seconds", "predict_seconds"]].tolist() == [
            2,
            0.3,
        ]
        assert rows.loc["mine", ["encoder", "kind"]].tolist() == ["my-bert", "strategy"]
        assert rows["kind"].tolist() == ["baseline", "given", "strategy"]
        assert found.folds.groupby("strategy")["fit_seconds"].max()["mine"] == 0.1

    def test_the_train_size_of_all_may_be_told(self):
        sizes = {"tfidf": {"train_size": 48}, "mine": {"train_size": 0}}
        found = compare_predictions(Y, GIVEN, details=sizes)
        assert found.results["train_size"].tolist() == [48, 48, 0]
        del sizes["mine"]
        found = compare_predictions(Y, GIVEN, details=sizes)
        assert found.results["train_size"].tolist() == [48, 48, 48]
        assert found.best_strategy == "mine"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"seconds": {"no": 1}}, "seconds names 'no', but one of the strategies"),
            ({"seconds": {"mine": -1}}, r"seconds\['mine'\]=-1, but a number of at"),
            ({"seconds": {"mine": (1, 2, 3)}}, "or a pair with those of predicting"),
            ({"seconds": {"mine": "1"}}, r"='1', but a number of at least 0"),
            ({"seconds": 3}, "seconds is of type int, but a dict"),
            ({"details": {"no": {}}}, "details names 'no'"),
            (
                {"details": {"mine": {"f1": 1}}},
                r"\['f1'\] is no column that can be told",
            ),
            ({"details": {"mine": {"kind": "x"}}}, "='x', but one of"),
            (
                {"details": {"mine": {"encoder": 1}}},
                "is of type int, but a str or None",
            ),
            ({"details": {"mine": {"train_size": 0}}}, r"size 0 of \['mine'\], but"),
            (
                {"details": {"tfidf": {"train_size": 5}, "mine": {"train_size": 6}}},
                r"train sizes \[5, 6\], but",
            ),
            (
                {"details": {n: {"train_size": 0.5} for n in GIVEN}},
                "=0.5, but a whole number",
            ),
        ],
    )
    def test_what_cannot_be_told_is_an_error(self, options, message):
        with pytest.raises(InvalidParameterError, match=message):
            compare_predictions(Y, GIVEN, **options)


class TestBaseline:
    def test_the_majority_class_comes_along(self, folded):
        row = folded.results.set_index("strategy").loc["majority"]
        assert row["kind"] == "baseline"
        assert row["score"] == pytest.approx((Y == "pos").mean())
        given = folded.predictions["majority"]
        np.testing.assert_allclose(given["probability_pos"], 2 / 3)

    @pytest.mark.parametrize(
        ("given", "baseline", "names", "chosen"),
        [
            (["mine", "tfidf"], "auto", ["majority", "mine", "tfidf"], "tfidf"),
            (["mine", "other"], "auto", ["majority", "mine", "other"], "mine"),
            (["mine"], "auto", ["majority", "mine"], "majority"),
            (["mine", "majority"], "auto", ["mine", "majority"], "majority"),
            (["mine", "other"], "other", ["mine", "other"], "other"),
            (["mine", "other"], None, ["mine", "other"], None),
        ],
    )
    def test_it_is_chosen_as_the_docstring_says(self, given, baseline, names, chosen):
        found = compare_predictions(
            Y, dict.fromkeys(given, LABELS["mine"]), baseline=baseline
        )
        assert found.results["strategy"].tolist() == names
        assert found.baseline == chosen

    def test_an_unknown_one_is_an_error(self):
        with pytest.raises(InvalidParameterError, match="baseline='no', but 'auto'"):
            compare_predictions(Y, GIVEN, baseline="no")


class TestBound:
    def test_copies_and_groups_belong_together(self):
        texts = [f"text {row // 2}" for row in range(N)]
        found = compare_predictions(Y, GIVEN, texts=texts)
        assert found.bound.tolist() == [row // 2 for row in range(N)]
        groups = [f"review {row // 4}" for row in range(N)]
        for given in (texts, None):
            found = compare_predictions(Y, GIVEN, texts=given, groups=groups)
            assert found.bound.tolist() == [row // 4 for row in range(N)]
        assert compare_predictions(Y, GIVEN).bound.tolist() == list(range(N))

    def test_a_group_on_both_sides_is_told(self):
        with pytest.warns(SktransferWarning, match="6 of 60 texts were held out in a"):
            compare_predictions(
                Y, GIVEN, groups=np.maximum(np.arange(N), 5), folds=FOLDS
            )

    @pytest.mark.parametrize("name", ["groups", "texts"])
    def test_there_is_one_a_label(self, name):
        with pytest.raises(
            InvalidInputError, match=f"60 labels but {name} has 2 entries"
        ):
            compare_predictions(Y, GIVEN, **{name: ["a", "b"]})


class TestInput:
    @pytest.mark.parametrize(
        ("y", "options", "error", "message"),
        [
            (None, {}, InvalidInputError, "y is of type NoneType, but one label"),
            ("pos", {}, InvalidInputError, "y is of type str, but one label"),
            (Y, {"scoring": "no"}, InvalidParameterError, "scoring='no'"),
            (
                Y,
                {"scoring": lambda model, X, y: 1.0},
                InvalidParameterError,
                "is a function of a model, and there are predictions only",
            ),
        ],
    )
    def test_what_cannot_be_used_is_told(self, y, options, error, message):
        with pytest.raises(error, match=message):
            compare_predictions(y, GIVEN, **options)

    def test_a_metric_of_probabilities_needs_them(self):
        given = {"a": GIVEN["mine"], "b": LABELS["mine"]}
        with pytest.raises(InvalidInputError, match=r"\['b'\] has labels only"):
            compare_predictions(Y, given, scoring="neg_log_loss")

    def test_half_a_character_is_told(self):
        with pytest.raises(InvalidInputError, match="half a character at position 1"):
            compare_predictions(Y, {"a\ud83d": Y})

    def test_the_folds_of_cross_val_predict_do(self):
        folds = list(StratifiedKFold(3).split(np.zeros(N), Y))
        assert len(compare_predictions(Y, GIVEN, folds=folds).folds) == 9


class TestPage:
    def test_rows_without_texts_are_named_once(self, pooled):
        mistakes = list_mistakes(pooled, {}, 2)
        assert mistakes[0]["text"].startswith("row ")
        assert mistakes[0]["row"] == ""
        texts = [f"the text {row}" for row in range(N)]
        quoted = list_mistakes(compare_predictions(Y, GIVEN, texts=texts), {}, 1)[0]
        assert quoted["text"].startswith("the text ")
        assert quoted["row"].startswith(" (row ")

    def test_labels_alone_have_no_probability(self):
        found = compare_predictions(Y, LABELS)
        assert [m["probability"] for m in list_mistakes(found, {}, 2)] == ["", ""]

    def test_facts_say_what_is_not_known(self, pooled):
        facts = list_facts(pooled)
        assert facts["Folds"] == "not known"
        assert facts["Time"] == "not kept"
        assert "Labelled texts to learn from" not in facts

    def test_seconds_that_are_told_are_summed(self):
        found = compare_predictions(Y, GIVEN, folds=FOLDS, seconds={"mine": 2.0})
        told = list_facts(found)["Time"]
        assert told == "10.0 s of training, over all folds for which it is known"
        found = compare_predictions(
            Y, GIVEN, folds=FOLDS, seconds={"mine": (2.0, 1.0), "tfidf": (1.0, 1.0)}
        )
        told = list_facts(found)["Time"]
        assert told == "15.0 s of training and 10.0 s of predicting, over all folds"

    def test_the_table_has_no_empty_columns_and_is_sorted(self, pooled):
        table = result_table(pooled)
        names = [head.name for head in table.heads]
        assert not {"fit_seconds", "texts_per_second", "fit_peak_mib"} & set(names)
        assert [row.cells[0].text for row in table.rows] == [
            "mine",
            "tfidf",
            "majority",
        ]

    def test_no_code_is_shown_that_would_fail(self, pooled):
        assert usage(pooled, None) == []
        assert len(usage(pooled, "model")) == 3
