import itertools
import math

import numpy as np
import pytest
import torch

from sktransfer.classifier.data.rows import FeatureRows, LabelledRows, Targets
from sktransfer.classifier.strategies.contrastive import BalancedBatches, PairLoss


def targets(classes, weight=None):
    weight = torch.ones(len(classes)) if weight is None else torch.tensor(weight)
    return Targets(torch.tensor(classes), weight)


class TestLoss:
    def test_three_texts_by_hand(self):
        # Cosines: of the two of one class 0, of the others 1 and 0.
        features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        loss = PairLoss()(features, targets([0, 0, 1]))
        of_one_class, of_two = (0 - 1) ** 2, ((1 - 0) ** 2 + (0 - 0) ** 2) / 2
        assert loss.item() == pytest.approx((of_one_class + of_two) / 2)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_it_is_a_loop_over_all_pairs(self, weighted):
        generator = torch.Generator().manual_seed(0)
        features = torch.randn(9, 5, generator=generator)
        classes = [0, 0, 0, 0, 1, 1, 2, 2, 3]
        weight = [0.5 + i % 3 for i in range(9)] if weighted else [1.0] * 9
        sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
        for i, j in itertools.combinations(range(9), 2):
            cosine = torch.cosine_similarity(features[i], features[j], dim=0).item()
            same, both = classes[i] == classes[j], weight[i] * weight[j]
            sums[same][0] += both * (cosine - same) ** 2
            sums[same][1] += 1
        expected = sum(total / count for total, count in sums.values()) / 2
        loss = PairLoss()(features, targets(classes, weight))
        assert loss.item() == pytest.approx(expected, rel=1e-5)

    def test_batches_are_the_whole_on_average(self):
        features = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
        classes, weight = [0, 0, 0, 1, 1, 1], [0.2, 0.3, 2.5, 2.0, 0.5, 0.5]
        whole = targets(classes, weight)
        batches = []
        for first in itertools.combinations(range(3), 2):
            for second in itertools.combinations(range(3, 6), 2):
                rows = torch.tensor(first + second)
                part = Targets(whole.classes[rows], whole.weight[rows])
                batches.append(PairLoss()(features[rows], part))
        torch.testing.assert_close(
            torch.stack(batches).mean(), PairLoss()(features, whole)
        )

    def test_it_is_that_of_setfit_where_both_kinds_are_as_many(self):
        # Four pairs within a class and four between two.
        features = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
        cosines = torch.cosine_similarity(features[:2, None], features[None, 2:], dim=2)
        within = torch.cosine_similarity(features[::2], features[1::2])
        within = (within - 1).square().repeat(2)
        errors = torch.cat([within, cosines.flatten().square()])
        loss = PairLoss()(features, targets([0, 0, 1, 1]))
        torch.testing.assert_close(loss, errors.mean())

    def test_the_length_of_a_vector_does_not_count(self):
        features = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
        scale = torch.arange(1.0, 7)[:, None]
        wanted = targets([0, 1, 0, 1, 0, 1])
        torch.testing.assert_close(
            PairLoss()(features, wanted), PairLoss()(features * scale, wanted)
        )

    @pytest.mark.parametrize("classes", [[0, 1, 2], [4, 4, 4]])
    def test_one_kind_of_pairs_alone_is_the_loss(self, classes):
        features = torch.eye(3)
        expected = 1.0 if classes[0] == classes[1] else 0.0
        assert PairLoss()(features, targets(classes)).item() == expected

    def test_a_vector_of_zeros_has_a_gradient_that_is_a_number(self):
        features = torch.zeros(4, 3)
        features[0, 0] = 1
        features.requires_grad_()
        PairLoss()(features, targets([0, 0, 1, 1])).backward()
        assert features.grad.isfinite().all()


def batches(classes, batch_size, seed=0):
    """Row numbers of the batches of one pass."""
    classes = np.asarray(classes)
    rows = FeatureRows(np.arange(len(classes), dtype=np.float32)[:, None])
    data = LabelledRows(rows, classes)
    drawn = BalancedBatches(data, batch_size, np.random.default_rng(seed))
    return [batch.inputs["features"][:, 0].int().tolist() for batch, _ in drawn]


class TestBatches:
    @pytest.mark.parametrize(
        ("counts", "batch_size", "expected"),
        [
            ([8, 8], 32, [8, 8]),
            ([100, 100], 32, [16, 16]),
            ([90, 10], 32, [10, 16]),
            ([31, 1], 32, [1, 16]),
            ([50, 30, 20], 31, [10, 10, 11]),
            ([1, 1], 2, [1, 1]),
        ],
    )
    def test_each_class_has_its_share(self, counts, batch_size, expected):
        classes = np.repeat(np.arange(len(counts)), counts)
        for rows in batches(classes, batch_size):
            assert len(set(rows)) == len(rows)
            assert sorted(np.bincount(classes[rows]).tolist()) == expected

    def test_a_pass_has_as_many_batches_as_rows_would_fill(self):
        assert [len(batches([0, 1] * n, 32)) for n in (4, 16, 17, 50)] == [1, 1, 2, 4]

    def test_equal_classes_are_seen_whole_in_a_pass(self):
        rows = [row for rows in batches([0, 1] * 32, 16) for row in rows]
        assert sorted(rows) == list(range(64))

    def test_many_classes_take_turns(self):
        classes = np.repeat(np.arange(40), 3)
        drawn = batches(classes, 16)
        for rows in drawn:
            assert np.unique(classes[rows], return_counts=True)[1].tolist() == [2] * 8
        assert len({classes[row] for rows in drawn[:5] for row in rows}) == 40

    def test_ten_thousand_classes_of_one_row(self):
        drawn = batches(np.arange(10_000), 32)
        assert len(drawn) == math.ceil(10_000 / 32)
        assert {len(rows) for rows in drawn} == {16}

    def test_the_seed_decides(self):
        classes = [0, 1, 1] * 20
        assert batches(classes, 8) == batches(classes, 8)
        assert batches(classes, 8) != batches(classes, 8, seed=1)
