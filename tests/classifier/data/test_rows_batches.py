import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sktransfer.classifier.data.rows import (
    BATCHES_SORTED_TOGETHER,
    MOST_TOKENS,
    Batch,
    EvaluationBatches,
    FeatureRows,
    LabelledRows,
    TrainingBatches,
)

SHAPES = st.lists(st.integers(1, 60), min_size=1, max_size=200)


class Texts:
    """Rows of given lengths whose batches name the rows that they hold."""

    def __init__(self, lengths):
        self.lengths = np.array(lengths)

    def __len__(self):
        return len(self.lengths)

    def batch(self, indices):
        return {"rows": torch.from_numpy(np.asarray(indices))}


def label(rows):
    return LabelledRows(rows, np.arange(len(rows)))


def rows_of(batches):
    return [batch.inputs["rows"].tolist() for batch, _ in batches]


class TestEvaluationOfLongTexts:
    @settings(deadline=None, max_examples=50)
    @given(
        lengths=st.lists(st.integers(1, 3 * MOST_TOKENS), min_size=1, max_size=50),
        size=st.integers(1, 20),
    )
    def test_a_batch_has_few_tokens_but_for_one_text(self, lengths, size):
        rows = rows_of(EvaluationBatches(label(Texts(lengths)), size))
        assert sorted(itertools.chain.from_iterable(rows)) == list(range(len(lengths)))
        for batch in rows:
            assert len(batch) <= size
            assert sum(sorted(lengths[row] for row in batch)[:-1]) <= MOST_TOKENS


class TestTraining:
    @settings(deadline=None, max_examples=50)
    @given(lengths=SHAPES, size=st.integers(1, 20), seed=st.integers(0, 99))
    def test_each_row_comes_once_an_epoch(self, lengths, size, seed):
        data = label(Texts(lengths))
        batches = TrainingBatches(data, size, np.random.default_rng(seed))
        for _ in range(2):
            rows = rows_of(batches)
            assert sorted(itertools.chain.from_iterable(rows)) == list(
                range(len(lengths))
            )
            assert max(map(len, rows)) <= size
            assert len(rows) == -(-len(lengths) // size)

    @settings(deadline=None, max_examples=50)
    @given(lengths=SHAPES, size=st.integers(1, 20), seed=st.integers(0, 99))
    def test_labels_travel_with_their_rows(self, lengths, size, seed):
        data = label(Texts(lengths))
        for batch, targets in TrainingBatches(data, size, np.random.default_rng(seed)):
            assert targets.classes.tolist() == batch.inputs["rows"].tolist()
            assert len(batch) == len(targets.weight)

    @settings(deadline=None, max_examples=50)
    @given(lengths=SHAPES, size=st.integers(1, 20), seed=st.integers(0, 99))
    def test_like_lengths_travel_together(self, lengths, size, seed):
        data = label(Texts(lengths))
        rows = rows_of(TrainingBatches(data, size, np.random.default_rng(seed)))
        if len(lengths) > size * BATCHES_SORTED_TOGETHER:
            return
        # Sorted as one, so that no two batches overlap in their lengths.
        ranges = sorted(
            (min(b), max(b)) for b in ([lengths[r] for r in x] for x in rows)
        )
        for (_, longest), (shortest, _) in itertools.pairwise(ranges):
            assert longest <= shortest

    def test_little_is_padded(self):
        lengths = np.random.default_rng(0).integers(1, 100, 1000)
        data = label(Texts(lengths))
        padded = sum(
            len(rows) * lengths[rows].max()
            for rows in rows_of(TrainingBatches(data, 16, np.random.default_rng(0)))
        )
        assert padded < 1.1 * lengths.sum()

    def test_epochs_differ_and_a_seed_repeats_them(self):
        data = label(Texts([5] * 40))
        batches = TrainingBatches(data, 4, np.random.default_rng(0))
        first, second = rows_of(batches), rows_of(batches)
        assert first != second
        again = TrainingBatches(data, 4, np.random.default_rng(0))
        assert [rows_of(again), rows_of(again)] == [first, second]

    def test_long_and_short_texts_come_in_no_order(self):
        lengths = list(range(1, 161))
        rows = rows_of(
            TrainingBatches(label(Texts(lengths)), 10, np.random.default_rng(0))
        )
        firsts = [batch[0] for batch in rows]
        assert firsts != sorted(firsts)
        assert firsts != sorted(firsts, reverse=True)


class TestEvaluation:
    @settings(deadline=None, max_examples=50)
    @given(lengths=SHAPES, size=st.integers(1, 20))
    def test_each_row_comes_once_the_same_way_every_time(self, lengths, size):
        batches = EvaluationBatches(label(Texts(lengths)), size)
        rows = rows_of(batches)
        assert sorted(itertools.chain.from_iterable(rows)) == list(range(len(lengths)))
        assert rows == rows_of(batches)
        assert [indices.tolist() for indices in batches.indices()] == rows

    def test_rows_of_equal_cost_keep_their_order(self):
        data = label(FeatureRows(np.zeros((5, 2), np.float32)))
        indices = EvaluationBatches(data, 2).indices()
        assert [part.tolist() for part in indices] == [[0, 1], [2, 3], [4]]


class TestRows:
    @pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    def test_features_become_dense_a_batch_at_a_time(self, kind):
        matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
        rows = FeatureRows(kind(matrix)).take(np.array([2, 0]))
        assert len(rows) == 2
        features = rows.batch(np.array([1, 0]))["features"]
        np.testing.assert_array_equal(features, matrix[[0, 2]])
        assert features.dtype == torch.float32

    def test_taking_rows_takes_labels_and_weights(self):
        features = FeatureRows(np.eye(3, dtype=np.float32))
        data = LabelledRows(features, np.array([0, 1, 0]), np.array([1.0, 2.0, 3.0]))
        batch, targets = data.take(np.array([2, 1])).batch(np.array([0, 1]))
        np.testing.assert_array_equal(batch.inputs["features"], np.eye(3)[[2, 1]])
        assert targets.classes.tolist() == [0, 1]
        assert targets.weight.tolist() == [3, 2]

    def test_without_weights_each_row_counts_once(self):
        data = label(FeatureRows(np.zeros((2, 1), np.float32)))
        assert data.weight.tolist() == [1, 1]

    def test_a_batch_moves_as_a_whole(self):
        batch = Batch({"features": torch.zeros(2, 1)}, 2).to("meta")
        assert batch.inputs["features"].device.type == "meta"
        assert len(batch) == 2
