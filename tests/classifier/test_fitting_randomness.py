import random
import threading

import numpy as np
import pytest
import torch

from sktransfer.classifier.fitting import draw_seed, private_randomness

CPU = torch.device("cpu")


def states():
    """States of all global generators, comparable."""
    return (
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state(legacy=False)),  # noqa: NPY002
        random.getstate(),
    )


class TestPrivateRandomness:
    def test_the_same_seed_draws_the_same(self):
        drawn = []
        for _ in range(2):
            with private_randomness(3, CPU):
                drawn.append(torch.rand(3))
        torch.testing.assert_close(*drawn, rtol=0, atol=0)

    def test_the_generator_is_given_back_as_it_was(self):
        before = states()
        with private_randomness(3, CPU):
            torch.rand(5)
        assert states() == before

    def test_an_error_gives_it_back_too(self):
        before = states()
        with (
            pytest.raises(RuntimeError, match="probability"),
            private_randomness(3, CPU),
        ):
            torch.dropout(torch.rand(5), p=7, train=True)
        assert states() == before

    def test_one_training_waits_for_another(self):
        order = []
        inside = threading.Event()

        def second():
            inside.wait(5)
            with private_randomness(1, CPU):
                order.append("second")

        thread = threading.Thread(target=second)
        thread.start()
        with private_randomness(0, CPU):
            inside.set()
            thread.join(0.05)
            order.append("first")
        thread.join(5)
        assert order == ["first", "second"]


def test_seeds_come_from_the_state_that_is_passed():
    one, other = (np.random.RandomState(0) for _ in range(2))
    assert [draw_seed(one), draw_seed(one)] == [draw_seed(other), draw_seed(other)]


class TestClassifier:
    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_the_same_seed_gives_the_same_model(self, make, sentiment_texts, strategy):
        texts, labels = sentiment_texts
        one, other, third = (
            make(strategy=strategy, random_state=seed).fit(texts[:32], labels[:32])
            for seed in (0, 0, 1)
        )
        logits = one.decision_function(texts)
        np.testing.assert_array_equal(other.decision_function(texts), logits)
        assert not np.allclose(third.decision_function(texts), logits)

    @pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tune"])
    def test_global_generators_stay_as_they_are(
        self, make, bert, sentiment_texts, strategy
    ):
        texts, labels = sentiment_texts
        model = make(strategy=strategy, encoder=bert(cache=None))
        before = states()
        model.fit(texts[:32], labels[:32])
        assert states() == before
        model.predict_proba(texts)
        assert states() == before
        model.partial_fit(texts[:8], labels[:8])
        assert states() == before

    def test_none_draws_from_numpy(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(random_state=None)
        state = np.random.get_state()  # noqa: NPY002
        try:
            logits = []
            for seed in (5, 5, 6):
                np.random.seed(seed)  # noqa: NPY002
                model.fit(texts[:32], labels[:32])
                logits.append(model.decision_function(texts))
        finally:
            np.random.set_state(state)  # noqa: NPY002
        np.testing.assert_array_equal(logits[0], logits[1])
        assert not np.allclose(logits[0], logits[2])

    def test_a_state_moves_on_from_fit_to_fit(self, make, numbers):
        model = make(random_state=np.random.RandomState(0))
        first = model.fit(*numbers).decision_function(numbers[0])
        second = model.fit(*numbers).decision_function(numbers[0])
        assert not np.allclose(first, second)
