"""The displays show what a comparison holds, finished or not."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.plotting.confusion import ConfusionDisplay
from sktransfer.plotting.cost import CostDisplay, pareto_front
from sktransfer.plotting.curves import TransferCurveDisplay
from sktransfer.plotting.domains import DomainMapDisplay
from sktransfer.plotting.scores import ScoreDisplay
from sktransfer.plotting.style import Mark, wrap_name

OF_COMPARISONS = [ScoreDisplay, CostDisplay, TransferCurveDisplay, ConfusionDisplay]
LONG = "a pipeline with a name that somebody wrote without thinking of pictures " * 2


def overlapping(texts) -> list[tuple[str, str]]:
    """Pairs of drawn texts whose boxes share more than a rim."""
    renderer = texts[0].figure.canvas.get_renderer()
    boxes = [(text, text.get_window_extent(renderer).padded(-1)) for text in texts]
    return [
        (one.get_text(), other.get_text())
        for place, (one, box) in enumerate(boxes)
        for other, other_box in boxes[place + 1 :]
        if box.overlaps(other_box)
    ]


@pytest.mark.parametrize("display", OF_COMPARISONS)
class TestAllDisplays:
    def test_draw_on_the_axes_given(self, display, make_comparison):
        comparison = make_comparison(train_sizes=(16, 64))
        n_axes = 2 if display is ConfusionDisplay else 1
        figure, axes = plt.subplots(1, n_axes)
        drawn = display.from_comparison(comparison, ax=axes)
        assert drawn.figure_ is figure
        assert np.all(drawn.ax_ == axes)
        figure.canvas.draw()

    @pytest.mark.parametrize("n_strategies", [1, 12])
    def test_labels_do_not_overlap(self, display, n_strategies, make_comparison):
        names = [f"{place}: {LONG}" for place in range(n_strategies)]
        comparison = make_comparison(
            n_strategies, names=names, train_sizes=(16, 64, 256), failed=0
        )
        drawn = display.from_comparison(comparison)
        drawn.figure_.draw_without_rendering()
        for ax in np.ravel(drawn.ax_):
            for axis in (ax.xaxis, ax.yaxis):
                shown = [text for text in axis.get_ticklabels() if text.get_text()]
                assert overlapping(shown) == []
        for legend in drawn.figure_.legends:
            assert overlapping(legend.get_texts()) == []
            width = drawn.figure_.bbox.width
            assert all(
                text.get_window_extent().x1 <= width for text in legend.get_texts()
            )

    def test_a_comparison_without_a_score_has_nothing_to_draw(
        self, display, make_comparison
    ):
        comparison = make_comparison(2, failed=2, train_sizes=(16, 64))
        with pytest.raises(
            (InvalidInputError, InvalidParameterError), match=r"(?i)no strategy"
        ):
            display.from_comparison(comparison)


class TestScores:
    def test_the_best_is_on_top_and_the_failed_at_the_bottom(self, make_comparison):
        ax = ScoreDisplay.from_comparison(make_comparison(4)).ax_
        names = [text.get_text() for text in ax.get_yticklabels()]
        assert names == ["strategy 0", "tfidf", "majority", "strategy 1"]
        assert ax.yaxis_inverted()
        assert "failed" in [text.get_text() for text in ax.texts]

    def test_intervals_are_those_of_the_table(self, make_comparison):
        comparison = make_comparison(4)
        display = ScoreDisplay.from_comparison(comparison)
        row = comparison.results.set_index("strategy").loc["strategy 0"]
        (bar,) = display.lines_[0].lines[2]
        ends = bar.get_segments()[0][:, 0]
        np.testing.assert_allclose(ends, [row["score_low"], row["score_high"]])

    def test_the_baseline_has_a_line(self, make_comparison):
        display = ScoreDisplay.from_comparison(make_comparison(4))
        labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
        assert "baseline: tfidf" in labels

    def test_any_size_can_be_shown_and_others_are_refused(self, make_comparison):
        comparison = make_comparison(train_sizes=(16, 64))
        display = ScoreDisplay.from_comparison(comparison, train_size=16)
        assert display.train_size == 16
        assert {len(scores) for scores in display.fold_scores} == {0, 10}
        with pytest.raises(InvalidParameterError, match=r"sizes \[16, 64\]"):
            ScoreDisplay.from_comparison(comparison, train_size=17)

    def test_what_learns_from_the_source_alone_is_always_shown(self, make_comparison):
        comparison = make_comparison(4, train_sizes=(16, 64), failed=0)
        alone = comparison.results["strategy"] == "majority"
        comparison.results.loc[alone, "train_size"] = 0
        comparison.results = comparison.results.drop_duplicates(
            ["strategy", "train_size"]
        )
        display = ScoreDisplay.from_comparison(comparison, train_size=16)
        assert sorted(display.names) == sorted(comparison.predictions)
        curves = TransferCurveDisplay.from_comparison(comparison)
        level = curves.lines_["majority"].lines[0].get_ydata()
        assert len(level) == 2
        assert len(set(level)) == 1

    def test_names_and_scores_belong_together(self):
        with pytest.raises(InvalidInputError, match="2 names and 1 scores"):
            ScoreDisplay(["a", "b"], [0.5]).plot()


class TestCosts:
    def test_the_front_is_what_nothing_cheaper_beats(self, make_comparison):
        assert pareto_front([1, 1, 2], [0.5, 0.6, 0.6]) == [1]
        display = CostDisplay.from_comparison(make_comparison(5))
        assert display.front_ == [0, 1, 2, 3]

    def test_the_axis_names_durations(self):
        display = CostDisplay(["a", "b"], [0.0, 4000.0], [0.5, 0.6]).plot()
        names = [text.get_text() for text in display.ax_.get_xticklabels()]
        assert 2 <= len(names) <= 7
        assert any(name.endswith(" s") for name in names)

    def test_other_costs_are_refused(self, make_comparison):
        with pytest.raises(InvalidParameterError, match="fit_seconds"):
            CostDisplay.from_comparison(make_comparison(), cost="money")


def test_one_number_of_texts_is_no_curve(make_comparison):
    with pytest.raises(InvalidInputError, match="train_sizes="):
        TransferCurveDisplay.from_comparison(make_comparison())


class TestConfusions:
    def test_counts_are_those_of_the_predictions(self, make_comparison):
        comparison = make_comparison(4)
        display = ConfusionDisplay.from_comparison(comparison)
        assert list(display.matrices) == [comparison.best_strategy, "tfidf"]
        table = comparison.predictions["tfidf"]
        right = (table["label"] == table["predicted"]).sum()
        assert np.trace(display.matrices["tfidf"]) == right

    def test_names_without_predictions_are_refused(self, make_comparison):
        with pytest.raises(InvalidParameterError, match="majority"):
            ConfusionDisplay.from_comparison(make_comparison(), ["nobody"])

    def test_fitted_estimators_are_asked(self, sentiment_texts):
        texts, labels = sentiment_texts
        model = make_pipeline(CountVectorizer(), LogisticRegression())
        model.fit(texts, labels)
        display = ConfusionDisplay.from_estimator({"words": model}, texts, labels)
        assert display.matrices["words"].tolist() == [[48, 0], [0, 48]]
        assert display.ax_[0].get_title() == "words"

    def test_there_is_one_axes_for_each_matrix(self):
        _, ax = plt.subplots()
        display = ConfusionDisplay({"a": np.eye(2), "b": np.eye(2)}, ["n", "p"])
        with pytest.raises(InvalidParameterError, match="1 axes, but 2"):
            display.plot(ax)


class TestMaps:
    def test_domains_differ_by_marker_and_labels_by_colour(self, make_comparison):
        comparison = make_comparison(with_source=True)
        display = DomainMapDisplay.from_comparison(comparison, TfidfVectorizer())
        assert sorted(display.collections_) == [
            ("source", "neg"),
            ("source", "pos"),
            ("target", "neg"),
            ("target", "pos"),
        ]
        assert "%" in display.ax_.get_xlabel()

    def test_no_more_texts_are_drawn_than_asked_for(self, sentiment_texts):
        display = DomainMapDisplay.from_estimator(
            TfidfVectorizer(), sentiment_texts[0], max_texts=20
        )
        assert display.points.shape == (20, 2)
        assert display.labels is None

    def test_a_comparison_without_source_has_no_map(self, make_comparison):
        with pytest.raises(InvalidInputError, match="had no source"):
            DomainMapDisplay.from_comparison(make_comparison())

    def test_texts_and_labels_belong_together(self):
        with pytest.raises(InvalidInputError, match="2 texts, but y has 1 labels"):
            DomainMapDisplay.from_estimator(TfidfVectorizer(), ["a b", "c"], [1])


class TestStyle:
    def test_marks_differ_without_colour(self):
        looks = {(mark.marker, str(mark.line)) for mark in map(Mark.number, range(60))}
        assert len(looks) == 60

    def test_long_names_are_cut_after_three_lines(self):
        lines = wrap_name(LONG).splitlines()
        assert len(lines) == 3
        assert lines[-1].endswith("…")

    def test_chinese_letters_count_twice(self):
        assert max(map(len, wrap_name("冻结的中文编码器" * 3).splitlines())) <= 13


@pytest.mark.slow
def test_importing_displays_opens_no_matplotlib():
    code = (
        "import sys, sktransfer\nsktransfer.ScoreDisplay, sktransfer.DomainMapDisplay\n"
        "assert not {'matplotlib', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
