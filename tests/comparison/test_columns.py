"""Each column is defined once, and documented."""

from sktransfer.comparison.columns import COLUMNS, columns_with, heads_of
from sktransfer.comparison.result import StrategyComparison
from sktransfer.comparison.run.evaluation import METRICS


def test_each_has_a_name_of_its_own_and_is_documented():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert not [n for n in names if f"``{n}``" not in StrategyComparison.__doc__]


def test_scores_and_costs_say_which_way_is_better():
    neither = {"score_std", "score_low", "score_high", "n_trainable_parameters"}
    for column in COLUMNS:
        told = column.group in ("score", "cost") and column.name not in neither
        assert bool(column.better) == (told or column.name == "difference")


def test_metrics_are_those_that_a_fold_has():
    names = [column.name for column in COLUMNS if column.is_metric]
    assert names == list(METRICS)


def test_another_main_metric_is_one_more_and_stands_with_the_others():
    names = [column.name for column in columns_with("roc_auc")]
    assert names.index("roc_auc") == names.index("f1_macro") + 1
    assert columns_with("f1_macro") == list(COLUMNS)


def test_titles_name_what_is_compared():
    heads = heads_of("page", scoring="f1_macro", baseline="<tfidf>")
    told = {head.name: (head.title, head.note) for head in heads}
    assert told["score"] == ("f1 macro", "mean and 95 % interval")
    assert told["difference"][1] == "to <tfidf>, with its 95 % interval"
    assert told["fit_peak_mib"][1].startswith("MiB that the process grew by")
    assert "f1_macro" not in told  # it is the score


def test_what_is_not_there_or_does_not_vary_is_not_shown():
    names = ["strategy", "encoder", "train_size", "score"]
    shown = [h.name for h in heads_of("text", names, varied=["train_size"])]
    assert shown == ["strategy", "train_size", "score"]


def test_cells_without_a_value_are_empty():
    for view in ("text", "page"):
        for head in heads_of(view, varied=["encoder", "train_size"]):
            nothing = {} if head.name != "pvalue" else {"pvalue": float("nan")}
            assert head.write(nothing) == ""
            assert head.write({head.name: float("nan")}) == ""
