from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import beta

from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.statistics import ConfidenceTable, confidence_table, label_sets
from sktransfer.statistics.selective import _fewest


def draw(n, generator):
    """Calibrated confidences, and which labels are right."""
    confidence = 1 / (1 + np.exp(-np.abs(generator.normal(0, 3, n))))
    return confidence, generator.uniform(size=n) < confidence


class TestTable:
    def test_rows_are_what_a_hand_counts(self):
        confidence = np.repeat([0.9, 0.8, 0.6], [10, 20, 10])
        right = np.repeat([True, True, False, False], [10, 15, 5, 10])
        order = np.random.default_rng(0).permutation(40)
        table = confidence_table(confidence[order], right[order])
        assert table.thresholds == (0.9, 0.8, 0.0)
        assert (table.n, table.n_right) == ((10, 30, 40), (10, 25, 25))
        assert table.n_effective == (10, 30, 40)
        assert table.shares().tolist() == [0.25, 0.75, 1]
        assert table.accuracies() == pytest.approx([1, 25 / 30, 25 / 40])
        expected = [beta.ppf(0.1, k, n - k + 1) for n, k in ((10, 10), (30, 25))]
        assert table.least_accuracies(0.9)[:2] == pytest.approx(expected)

    def test_what_is_bound_counts_as_one(self):
        confidence, right = draw(400, np.random.default_rng(0))
        alone = confidence_table(confidence, right)
        thrice = confidence_table(
            np.repeat(confidence, 3), np.repeat(right, 3), sets=np.arange(1200) // 3
        )
        assert thrice.n_effective[-1] == pytest.approx(400)
        assert alone.n_effective[-1] == 400
        assert thrice.promise(0.9).least_accuracy <= alone.accuracies().max()
        free = confidence_table(np.repeat(confidence, 3), np.repeat(right, 3))
        assert free.promise(0.9).share > thrice.promise(0.9).share

    def test_large_ones_are_short(self):
        table = confidence_table(*draw(20_000, np.random.default_rng(0)))
        assert len(table.n) < 300
        assert "20,000 labels" in repr(table)

    def test_json_keeps_it(self):
        table = confidence_table(*draw(200, np.random.default_rng(0)))
        assert (
            ConfidenceTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table
        )

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"format": "another"}, "no table"),
            ({"format_version": 2}, "reads format 1"),
            ({"n": [1]}, "is damaged"),
            ({"n": None}, "is damaged"),
            ({"thresholds": [0.9, 0.8, 0.1]}, "is damaged"),
            ({"thresholds": [0.9, "0.8", 0.0]}, "is damaged"),
            ({"thresholds": [0.9, math.nan, 0.0]}, "is damaged"),
            ({"n_right": [11, 25, 25]}, "is damaged"),
            ({"n": [10, 10, 40]}, "is damaged"),
            ({"n_effective": [10, 0, 40]}, "is damaged"),
        ],
    )
    def test_other_json_is_refused(self, changed, message):
        confidence = np.repeat([0.9, 0.8, 0.6], [10, 20, 10])
        content = confidence_table(confidence, confidence > 0.7).to_dict()
        with pytest.raises(InvalidInputError, match=message):
            ConfidenceTable.from_dict(content | changed)

    @pytest.mark.parametrize("content", [None, [], 3, {}])
    def test_so_is_what_is_no_object(self, content):
        with pytest.raises(InvalidInputError, match="no table"):
            ConfidenceTable.from_dict(content)

    @pytest.mark.parametrize(
        ("confidence", "right", "sets"),
        [
            ([], [], None),
            ([0.5], [True, False], None),
            ([1.5], [True], None),
            ([math.nan], [True], None),
            ([0.5, 0.6], [True, False], [1]),
        ],
    )
    def test_bad_input_is_refused(self, confidence, right, sets):
        with pytest.raises(InvalidInputError):
            confidence_table(confidence, right, sets=sets)


class TestPromise:
    @pytest.mark.parametrize("n", [200, 1000])
    def test_it_is_kept_in_nine_of_ten_draws(self, n):
        generator = np.random.default_rng(0)
        confidence, right = draw(50_000, generator)
        broken, shares = [], []
        for _ in range(100):
            promise = confidence_table(*draw(n, generator)).promise(0.95)
            trusted = confidence >= promise.threshold
            shares.append(trusted.mean())
            broken.append(trusted.any() and right[trusted].mean() < 0.95)
        assert np.mean(broken) <= 0.1
        # The most that an oracle could label is 0.65.
        assert np.mean(shares) > (0.1 if n == 200 else 0.4)

    def test_one_mistake_at_the_top_does_not_end_it(self):
        right = np.arange(1000) < 900
        right[0] = False
        promise = confidence_table(np.linspace(1, 0.5, 1000), right).promise(0.95)
        assert promise.share > 0.85
        assert promise.accuracy > promise.least_accuracy > 0.95

    def test_where_all_are_good_enough_all_are_trusted(self):
        promise = confidence_table(np.linspace(1, 0.5, 400), [True] * 400).promise(0.95)
        assert (promise.threshold, promise.share) == (0.0, 1.0)

    def test_where_none_is_there_is_none(self):
        table = confidence_table(np.linspace(1, 0.5, 400), [False] * 400)
        promise = table.promise(0.6)
        assert (promise.threshold, promise.share) == (math.inf, 0.0)
        assert math.isnan(table.highest_promise())

    def test_the_highest_that_can_be_promised_is_told(self):
        table = confidence_table(np.linspace(1, 0.5, 100), [True] * 100)
        highest = table.highest_promise()
        assert table.promise(highest).share > 0
        assert table.promise(highest + 0.01).share == 0

    @pytest.mark.parametrize("accuracy", [0.9, 0.95, 0.99])
    @pytest.mark.parametrize("mistakes", [0, 2, 8])
    def test_chains_begin_where_they_can_pass(self, accuracy, mistakes):
        n = _fewest(accuracy, 0.1, mistakes)
        low = [beta.ppf(0.1, k - mistakes, mistakes + 1) for k in (n - 1, n)]
        assert low[0] < accuracy <= low[1]

    @pytest.mark.parametrize("share", [0, 1, 95])
    def test_shares_are_checked(self, share):
        table = confidence_table([0.5], [True])
        with pytest.raises(InvalidParameterError, match="between 0 and 1"):
            table.promise(share)
        with pytest.raises(InvalidParameterError, match="between 0 and 1"):
            table.least_accuracies(share)


class TestSets:
    def draw(self, n, generator, share=0.3):
        """Three classes, one of them rare."""
        labels = generator.choice(3, n, p=[0.5, 0.5 - share / 3, share / 3])
        logits = generator.normal(size=(n, 3))
        logits[np.arange(n), labels] += 1
        given = np.exp(logits) * [0.5, 0.4, 0.1]
        return labels, given / given.sum(axis=1, keepdims=True)

    @pytest.mark.parametrize("by_class", [False, True])
    def test_they_hold_the_truth_as_often_as_asked(self, by_class):
        generator = np.random.default_rng(0)
        labels, given = self.draw(20_000, generator)
        found = []
        for _ in range(50):
            sets = label_sets(*self.draw(300, generator), 0.8, by_class=by_class)
            inside = sets.of(given)[np.arange(len(labels)), labels]
            found.append(
                [inside.mean(), *(inside[labels == k].mean() for k in range(3))]
            )
        whole, *each = np.mean(found, axis=0)
        assert whole == pytest.approx(0.8, abs=0.02)
        if by_class:
            assert each == pytest.approx([0.8] * 3, abs=0.03)
        else:
            assert min(each) < 0.7

    def test_the_spread_is_what_so_few_texts_leave(self):
        generator = np.random.default_rng(1)
        labels, given = self.draw(20_000, generator)
        hits = []
        for _ in range(100):
            sets = label_sets(*self.draw(100, generator), 0.8)
            covered = sets.of(given)[np.arange(len(labels)), labels].mean()
            hits.append(sets.low[0] <= covered <= sets.high[0])
        assert 0.82 <= np.mean(hits) <= 0.97

    def test_bound_texts_tell_less(self):
        labels, given = self.draw(100, np.random.default_rng(0))
        alone = label_sets(labels, given, 0.8)
        pairs = label_sets(
            np.repeat(labels, 2),
            np.repeat(given, 2, axis=0),
            0.8,
            sets=np.repeat(np.arange(100), 2),
        )
        assert (pairs.least, pairs.low, pairs.high) == (
            alone.least, alone.low, alone.high,
        )  # fmt: skip

    def test_few_texts_leave_nothing_out(self):
        sets = label_sets([0, 1], [[0.9, 0.1], [0.2, 0.8]], 0.9)
        assert sets.of([[0.99, 0.01]]).all()
        rare = label_sets([0] * 99, np.full((99, 2), 0.5), 0.9, by_class=True)
        assert rare.least == (0.5, 0.0)

    def test_none_is_empty(self):
        given = np.column_stack([np.linspace(0.9, 1, 99), np.linspace(0.1, 0, 99)])
        assert label_sets([0] * 99, given).of([[0.6, 0.4]]).tolist() == [[True, False]]

    @pytest.mark.parametrize(
        ("labels", "given"),
        [
            ([0], [[0.5, 0.5], [0.5, 0.5]]),
            ([2], [[0.5, 0.5]]),
            ([0], [[1.5, 0.5]]),
            ([0], [[math.nan, 0.5]]),
            ([], np.empty((0, 2))),
        ],
    )
    def test_bad_input_is_refused(self, labels, given):
        with pytest.raises(InvalidInputError):
            label_sets(labels, given)

    def test_other_classes_are_refused(self):
        with pytest.raises(InvalidInputError, match="2 columns"):
            label_sets([0], [[0.5, 0.5]]).of([[0.2, 0.3, 0.5]])
