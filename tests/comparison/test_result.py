import numpy as np
import pandas as pd
import pytest

from sktransfer.comparison.findings.rendering import write_csv
from sktransfer.comparison.result import StrategyComparison
from sktransfer.exceptions import InvalidParameterError


@pytest.fixture
def found(compare, words, guess):
    return compare({"guess": guess, "words": words}, baseline="guess", n_repeats=2)


class TestContract:
    def test_results_have_their_columns(self, found):
        assert found.results.columns.tolist() == [
            "strategy", "kind", "encoder", "train_size", "score", "score_std",
            "score_low", "score_high", "accuracy", "balanced_accuracy", "f1_macro",
            "fit_seconds", "predict_seconds", "load_seconds", "texts_per_second",
            "fit_peak_mib", "n_trainable_parameters", "difference", "difference_low",
            "difference_high", "pvalue", "could_be_best", "n_folds", "status", "error",
        ]  # fmt: skip
        assert found.results["kind"].tolist() == ["given", "given"]
        assert found.results["n_folds"].tolist() == [6, 6]

    def test_folds_are_one_row_each(self, found):
        assert len(found.folds) == 12
        keys = ["strategy", "train_size", "repeat", "fold"]
        assert not found.folds.duplicated(keys).any()

    def test_predictions_are_out_of_fold(self, found):
        table = found.predictions["words"]
        assert table.columns.tolist() == [
            "row", "repeat", "label", "predicted", "probability_neg", "probability_pos",
        ]  # fmt: skip
        assert table.groupby("repeat")["row"].nunique().tolist() == [96, 96]
        assert (found.labels[table["row"]] == table["label"]).all()

    def test_what_was_compared_is_there(self, found):
        assert found.classes.tolist() == ["neg", "pos"]
        assert (found.scoring, found.baseline) == ("accuracy", "guess")
        assert len(found.texts) == len(found.labels) == 96
        assert found.source is None
        assert found.domain_distance is None


class TestMistakes:
    @pytest.fixture
    def made(self):
        table = pd.DataFrame(
            {
                "row": [0, 1, 2, 0, 1, 2],
                "repeat": [0, 0, 0, 1, 1, 1],
                "label": [True, False, True] * 2,
                "predicted": [False, True, True, False, False, True],
                "probability_False": [0.6, 0.1, 0.2, 0.8, 0.7, 0.1],
                "probability_True": [0.4, 0.9, 0.8, 0.2, 0.3, 0.9],
            }
        )
        results = pd.DataFrame(
            {"strategy": ["a"], "train_size": [2], "score": [0.5], "status": ["done"]}
        )
        return StrategyComparison(
            results,
            pd.DataFrame(),
            {"a": table},
            classes=np.array([False, True]),
            texts=["one", "two", "three"],
            labels=np.array([True, False, True]),
            scoring="accuracy",
        )

    def test_the_most_confident_come_first_each_text_once(self, made):
        mistakes = made.mistakes()
        assert mistakes["text"].tolist() == ["two", "one"]
        assert mistakes["probability"].tolist() == [0.9, 0.8]
        assert mistakes["row"].tolist() == [1, 0]

    def test_half_a_character_is_no_obstacle(self, made):
        made.texts[1] = "broken \ud83d"
        assert made.mistakes()["text"].tolist() == ["broken \ud83d", "one"]

    def test_there_may_be_fewer(self, made):
        assert len(made.mistakes("a", n=1)) == 1

    def test_there_may_be_none(self, found):
        assert found.mistakes("words").empty

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("b",), r"strategy='b' is not in this comparison: one of \['a'\]"),
            (("a", 0), "n=0, but a whole number, at least 1"),
        ],
    )
    def test_bad_arguments_are_refused(self, made, arguments, message):
        with pytest.raises(InvalidParameterError, match=message):
            made.mistakes(*arguments)

    def test_what_holds_no_estimators_fits_none(self, made):
        with pytest.raises(InvalidParameterError, match="results only and no estim"):
            made.best_estimator()


class TestBest:
    def test_it_is_the_best_at_the_largest_size(self, compare, words, guess):
        found = compare({"guess": guess, "words": words}, train_sizes=[2, 64])
        assert found.best_strategy == "words"

    def test_of_equals_the_cheaper_one_is_best(self, compare, guess):
        from sklearn.base import clone

        found = compare({"a": clone(guess), "b": clone(guess)})
        assert found.best_strategy == "a"

    def test_it_is_fitted_on_everything(self, found):
        assert found.best_estimator().predict(["good film"]).tolist() == ["pos"]
        assert found.estimator("guess").predict(["good film"])[0] in ("pos", "neg")

    def test_unknown_names_are_refused(self, found):
        with pytest.raises(InvalidParameterError, match="strategy='no'"):
            found.estimator("no")


class TestShown:
    def test_markdown_has_the_best_first(self, found):
        lines = found.to_markdown().splitlines()
        assert lines[0].startswith("| strategy | accuracy | 95 % interval | balanced")
        assert lines[2].startswith("| words | 1.000 | 0.9")
        assert lines[5].startswith("- words has the highest accuracy of this run")

    def test_bars_in_names_do_not_break_the_table(self, compare, words):
        found = compare({"a|b": words})
        assert "| a\\|b | 1.000" in found.to_markdown()

    def test_repr_says_what_it_is(self, found):
        text = "StrategyComparison of 2 strategies on 96 texts, accuracy"
        assert repr(found).startswith(text)

    def test_html_escapes_names(self, compare, words):
        shown = compare({"<script>": words})._repr_html_()
        assert "&lt;script&gt;" in shown
        assert "<script>" not in shown

    def test_failures_say_why(self, compare, words):
        found = compare({"w": words.set_params(countvectorizer__min_df=2.5)})
        assert "failed: InvalidParameterError" in found.to_markdown()

    def test_curves_have_a_column_of_sizes(self, compare, words):
        lines = compare({"w": words}, train_sizes=[8, 64]).to_markdown().splitlines()
        assert lines[0].startswith("| strategy | texts |")
        assert [line.split(" | ")[1] for line in lines[2:4]] == ["8", "64"]

    def test_csv_holds_every_column(self, found, tmp_path):
        found.to_csv(tmp_path / "results.csv")
        back = pd.read_csv(tmp_path / "results.csv", keep_default_na=True)
        assert back.columns.tolist() == found.results.columns.tolist()
        assert back["score"].tolist() == found.results["score"].tolist()
        assert "64,1.0" in (tmp_path / "results.csv").read_text()

    def test_csv_takes_parameters_that_differ_from_fold_to_fold(self, found, tmp_path):
        results = found.results.assign(n_trainable_parameters=[12.5, float("nan")])
        write_csv(results, tmp_path / "results.csv")
        back = pd.read_csv(tmp_path / "results.csv")
        assert back["n_trainable_parameters"].tolist()[0] == 12.5
