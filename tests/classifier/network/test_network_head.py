import numpy as np
import pytest
import torch
from scipy import sparse

from sktransfer.classifier.network.network import (
    FeatureScaler,
    build_head,
    measure_scale,
)


class TestHead:
    @pytest.mark.parametrize(
        ("sizes", "shapes"),
        [
            ((), [(1, 5)]),
            ((3,), [(3, 5), (1, 3)]),
            ((4, 2), [(4, 5), (2, 4), (1, 2)]),
        ],
    )
    def test_layers_have_the_sizes_asked_for(self, sizes, shapes):
        head = build_head(5, sizes, 1)
        weights = [tuple(p.shape) for p in head.parameters() if p.ndim == 2]
        assert weights == shapes

    def test_each_hidden_layer_has_its_activation_and_dropout(self):
        head = build_head(5, (4, 2), 3, activation="tanh", dropout=0.25)
        kinds = [type(part).__name__ for part in head]
        assert kinds == ["Linear", "Tanh", "Dropout"] * 2 + ["Linear"]
        assert [part.p for part in head if isinstance(part, torch.nn.Dropout)] == [
            0.25,
            0.25,
        ]

    def test_a_linear_head_starts_at_zero(self):
        head = build_head(5, (), 2)
        assert not any(parameter.any() for parameter in head.parameters())


class TestScale:
    def test_dense_features_are_centred_and_divided_by_one_number(self):
        features = np.array([[0, 1], [2, 5]], np.float32)
        mean, scale = measure_scale(features)
        np.testing.assert_array_equal(mean, [1, 3])
        # Variances 1 and 4, of mean 2.5.
        assert scale == pytest.approx(np.sqrt(2.5))

    def test_sparse_features_are_not_centred(self):
        features = sparse.csr_array(np.array([[0, 3], [4, 0]], np.float32))
        mean, scale = measure_scale(features)
        np.testing.assert_array_equal(mean, [0, 0])
        assert scale == pytest.approx(np.sqrt((9 + 16) / 2))

    def test_stored_zeros_do_not_count(self):
        stored = sparse.csr_array(np.array([[1, 3], [4, 1]], np.float32))
        stored.data[stored.data == 1] = 0
        assert measure_scale(stored)[1] == pytest.approx(np.sqrt((9 + 16) / 2))

    @pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
    def test_a_row_of_weight_two_counts_twice(self, kind):
        features = np.array([[0, 1], [2, 5], [1, 0]], np.float32)
        weighted = measure_scale(kind(features), np.array([1.0, 2.0, 0.0]))
        repeated = measure_scale(kind(features[[0, 1, 1]]))
        for one, other in zip(weighted, repeated, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)

    @pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
    def test_constant_features_are_not_divided_by_zero(self, kind):
        _, scale = measure_scale(kind(np.zeros((3, 2), np.float32)))
        assert scale == 1

    def test_the_scaler_applies_both(self):
        scaler = FeatureScaler(2)
        features = torch.tensor([[1.0, 2.0]])
        torch.testing.assert_close(scaler(features), features)
        scaler.mean.copy_(torch.tensor([1.0, 0.0]))
        scaler.scale.fill_(2.0)
        torch.testing.assert_close(scaler(features), torch.tensor([[0.0, 1.0]]))
