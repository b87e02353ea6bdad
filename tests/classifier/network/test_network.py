import numpy as np
import pytest
import torch

from sktransfer.classifier.network.network import HeadLayout, TransferNetwork


class TestForward:
    def test_logits_of_windows_are_averaged_by_text(self):
        network = TransferNetwork(HeadLayout(3, (), 2, "relu", 0.0))
        network.head.output.weight.data.copy_(torch.eye(2, 3))
        features = torch.tensor([[1.0, 5, 0], [3, 7, 0], [9, 9, 0]])
        logits = network(features, text_of_row=torch.tensor([0, 0, 1]))
        torch.testing.assert_close(logits, torch.tensor([[2.0, 6], [9, 9]]))

    def test_one_class_is_one_logit(self):
        network = TransferNetwork(HeadLayout(3, (2,), 1, "tanh", 0.5))
        assert network(torch.zeros(4, 3)).shape == (4, 1)

    @pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "identity"])
    @pytest.mark.parametrize("sizes", [(), (4,), (5, 3)])
    def test_its_decision_is_what_it_computes_in_evaluation_mode(
        self, activation, sizes
    ):
        network = TransferNetwork(HeadLayout(3, sizes, 2, activation, 0.5))
        network.scaler.mean.copy_(torch.tensor([1.0, 2, 3]))
        network.scaler.scale.fill_(0.5)
        torch.nn.init.normal_(network.head.output.weight)
        features, texts = torch.randn(4, 3), torch.tensor([0, 1, 1, 2])
        found = network.decision()(features.double(), text_of_row=texts)
        assert found.dtype == torch.float64
        assert network.training
        assert {p.dtype for p in network.parameters()} == {torch.float32}
        expected = network.eval()(features, text_of_row=texts)
        torch.testing.assert_close(found.float(), expected)

    def test_its_own_tensors_leave_out_the_body(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="partial", max_epochs=1).fit(texts[:16], labels[:16])
        names = set(model.net_.module_.own_tensors())
        assert {"scaler.mean", "scaler.scale", "head.hidden_1.weight"} < names
        assert not any(name.startswith("body") for name in names)


class TestPrecision:
    def test_half_precision_is_the_body_s_alone(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune", dtype="bfloat16").fit(
            texts[:32], labels[:32]
        )
        logits = torch.from_numpy(model.decision_function(texts[:32])).float()
        assert (logits != logits.bfloat16().float()).any()

    def test_half_precision_is_near_to_float32(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        half, full = (
            make(strategy="fine_tune", dtype=dtype)
            .fit(texts[:32], labels[:32])
            .predict_proba(texts)
            for dtype in ("bfloat16", "float32")
        )
        np.testing.assert_allclose(half, full, atol=0.1)
        assert not np.array_equal(half, full)

    @pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
    def test_a_head_on_features_is_exact(self, make, numbers, dtype):
        X, y = numbers
        model = make(encoder=None, dtype=dtype).fit(X, y)
        alone = [model.decision_function(row[None]).item() for row in X]
        np.testing.assert_array_equal(model.decision_function(X), alone)
