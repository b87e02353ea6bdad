import numpy as np
import pytest
import torch

from sktransfer.classifier.data.rows import LabelledRows, Targets
from sktransfer.classifier.training.net import WeightedLoss
from sktransfer.classifier.training.pairs import PairLoss, RowsAndPairsNet


class TestRowsAndPairs:
    @pytest.fixture
    def net(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune", max_epochs=1, hidden_layer_sizes=())
        model.fit(texts, labels)
        rows = LabelledRows(model._input.rows(texts[:8]), np.arange(8) % 2)
        net = RowsAndPairsNet(model.net_.module_, rates=None).initialize()
        return net, rows

    def test_the_loss_is_the_sum_of_both(self, net):
        net, rows = net
        batch, targets = rows.batch(np.arange(8))
        net.module_.eval()
        features = net.module_.body(**batch.inputs)
        logits = net.module_(**batch.inputs)
        expected = WeightedLoss()(logits, targets)
        expected = expected + PairLoss(itself=True)(features, targets)
        found = net.get_loss((features, logits), targets, batch, training=True)
        torch.testing.assert_close(found, expected)

    def test_who_does_not_learn_gets_logits_alone(self, net):
        net, rows = net
        batch, targets = rows.batch(np.arange(8))
        net.module_.eval()
        assert net.infer(batch).shape == (8, 1)
        alone = net.get_loss(net.infer(batch), targets, batch)
        torch.testing.assert_close(alone, WeightedLoss()(net.infer(batch), targets))

    def test_one_row_has_no_pair(self, net):
        net, rows = net
        batch, targets = rows.batch(np.arange(1))
        net.module_.train()
        features, logits = net.infer(batch)
        found = net.get_loss((features, logits), targets, batch, training=True)
        torch.testing.assert_close(found, WeightedLoss()(logits, targets))

    def test_texts_of_one_class_come_closer(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        targets = Targets(
            torch.from_numpy((np.asarray(labels) == "pos").astype(int)),
            torch.ones(len(texts)),
        )

        def loss(model):
            features = model.net_.encode(model._input.rows(texts))
            return float(PairLoss()(torch.from_numpy(features), targets))

        options = {"strategy": "fine_tune", "encoder_learning_rate": 3e-3}
        untouched = make(**options | {"encoder_learning_rate": 0.0}).fit(texts, labels)
        tuned = make(**options, max_epochs=4).fit(texts, labels)
        assert loss(tuned) < 0.8 * loss(untouched)


def test_weights_do_what_repeated_rows_would():
    random = np.random.default_rng(0)
    features = torch.from_numpy(random.normal(size=(6, 4)))
    weight, classes = np.array([1, 2, 3, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    loss = PairLoss(itself=True)
    weighted = Targets(torch.from_numpy(classes), torch.from_numpy(weight / 7))
    rows = np.repeat(np.arange(6), weight)
    repeated = Targets(torch.from_numpy(classes[rows]), torch.ones(10))
    torch.testing.assert_close(
        loss(features, weighted).double(), loss(features[rows], repeated).double()
    )
