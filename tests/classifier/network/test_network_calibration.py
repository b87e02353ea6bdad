import numpy as np
import pytest

from sktransfer.classifier.network.network import find_temperature, to_probabilities


def draw(n_outputs, n=4000, times=3.0):
    """Logits that are right about the chances, made over-confident, with labels."""
    generator = np.random.default_rng(0)
    honest = generator.normal(size=(n, n_outputs))
    chances = to_probabilities(honest).cumsum(axis=1)
    classes = (generator.random((n, 1)) > chances).sum(axis=1)
    return honest * times, classes


def calibration_error(probabilities, classes):
    """Mean distance between confidence and share of hits, over ten bins."""
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == classes
    bins = np.minimum((confidence * 10).astype(int), 9)
    return sum(
        abs((hits - confidence)[bins == number].sum()) for number in range(10)
    ) / len(classes)


@pytest.mark.parametrize("n_outputs", [1, 4])
class TestTemperature:
    def test_it_finds_how_much_too_sure_the_logits_are(self, n_outputs):
        logits, classes = draw(n_outputs)
        found = find_temperature(logits, classes, np.ones(len(classes)))
        assert found == pytest.approx(3, rel=0.15)

    def test_the_calibration_error_falls(self, n_outputs):
        logits, classes = draw(n_outputs)
        half = len(classes) // 2
        found = find_temperature(logits[:half], classes[:half], np.ones(half))
        before, after = (
            calibration_error(to_probabilities(logits[half:], t), classes[half:])
            for t in (1.0, found)
        )
        assert after < before / 3

    def test_no_decision_changes(self, n_outputs):
        logits, _ = draw(n_outputs)
        np.testing.assert_array_equal(
            to_probabilities(logits).argmax(axis=1),
            to_probabilities(logits, 3.0).argmax(axis=1),
        )

    def test_a_row_of_weight_two_counts_twice(self, n_outputs):
        logits, classes = draw(n_outputs, n=40)
        weight = np.arange(40) % 3
        repeated = np.repeat(np.arange(40), weight)
        assert find_temperature(logits, classes, weight) == pytest.approx(
            find_temperature(
                logits[repeated], classes[repeated], np.ones(len(repeated))
            )
        )

    def test_rows_that_are_all_right_keep_it_within_bounds(self, n_outputs):
        logits = np.array([[5.0, 0, 0, 0], [0, 5.0, 0, 0]])[:, :n_outputs]
        classes = np.array([0, 1]) if n_outputs > 1 else np.array([1, 0])
        found = find_temperature(logits, classes, np.ones(2))
        assert 0.05 <= found <= 20


def test_one_logit_is_that_of_the_second_class():
    np.testing.assert_allclose(
        to_probabilities(np.array([[2.0], [-800.0]])),
        [[1 / (1 + np.exp(2)), 1 / (1 + np.exp(-2))], [1, 0]],
    )


def test_several_logits_are_a_softmax():
    logits = np.array([[1.0, 2.0, 900.0], [0.0, 0.0, 0.0]])
    probabilities = to_probabilities(logits, temperature=2.0)
    np.testing.assert_allclose(probabilities, [[0, 0, 1], [1 / 3] * 3], atol=1e-12)
