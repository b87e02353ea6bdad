import pandas as pd

from sktransfer.comparison.findings.summary import best_row, comparable_rows

TABLE = pd.DataFrame(
    {
        "strategy": ["frozen", "frozen", "tuned", "tuned", "source", "late"],
        "train_size": [16, 64, 16, 64, 0, 16],
        "score": [0.7, 0.8, 0.9, 0.8, 0.6, 0.99],
        "status": ["done", "done", "done", "done", "done", "skipped"],
    }
)


def test_only_rows_with_the_most_texts_are_compared_and_those_without_any():
    rows = comparable_rows(TABLE)
    assert rows["strategy"].tolist() == ["frozen", "tuned", "source"]
    assert rows["train_size"].tolist() == [64, 64, 0]


def test_the_first_of_equals_is_best():
    assert best_row(comparable_rows(TABLE))["strategy"] == "frozen"


def test_where_nothing_is_done_there_are_no_rows():
    assert comparable_rows(TABLE.iloc[5:]).empty
