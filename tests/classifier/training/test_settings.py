import pytest

from sktransfer.classifier.training.settings import (
    FROZEN,
    TUNED,
    WORDS,
    Settings,
    WarmupDecay,
)


@pytest.mark.parametrize(
    ("auto", "n_rows", "epochs"),
    [
        (FROZEN, 32, 200),  # one step an epoch: 200 steps are longer
        (FROZEN, 320, 20),
        (FROZEN, 6400, 10),  # 10 epochs are longer
        (TUNED, 16, 100),
        (TUNED, 17, 50),  # the last batch is not full and still a step
        (TUNED, 3200, 3),
        (WORDS, 320, 20),
    ],
)
def test_auto_lasts_for_the_longer_of_steps_and_epochs(auto, n_rows, epochs):
    assert Settings.resolve(auto, n_rows, 384).max_epochs == epochs


@pytest.mark.parametrize(
    ("auto", "encoder_rate", "size"), [(FROZEN, 0, 32), (TUNED, 1e-4, 16)]
)
def test_auto_depends_on_what_learns(auto, encoder_rate, size):
    settings = Settings.resolve(auto, 100, 384)
    assert settings.encoder_learning_rate == encoder_rate
    assert settings.head_learning_rate == 1e-3
    assert settings.batch_size == size
    assert settings.weight_decay == 0.01


@pytest.mark.parametrize(
    ("width", "rate"), [(768, 1e-3), (384, 1e-3), (192, 2e-3), (50, 5e-3), (1, 5e-3)]
)
def test_narrow_features_raise_the_rate_of_the_head(width, rate):
    settings = Settings.resolve(FROZEN, 100, width)
    assert settings.head_learning_rate == pytest.approx(rate)


def test_what_is_no_auto_stays():
    settings = Settings.resolve(
        TUNED,
        100,
        8,
        encoder_learning_rate=0,
        head_learning_rate=0.5,
        max_epochs=7,
        batch_size=9,
        weight_decay=0.25,
    )
    assert settings == Settings(0.0, 0.5, 7, 9, 0.25, TUNED.kept, TUNED.strength)


def test_auto_epochs_follow_a_batch_size_of_ones_own():
    assert Settings.resolve(FROZEN, 320, 384, batch_size=320).max_epochs == 200


@pytest.mark.parametrize(
    ("n_layers", "width", "rate"),
    [(2, 32, 1e-4), (6, 384, 1e-4), (12, 384, 5e-5), (12, 768, 2.5e-5)],
)
def test_larger_transformers_learn_more_slowly(n_layers, width, rate):
    assert TUNED.at_size(n_layers, width).encoder_learning_rate == pytest.approx(rate)


class TestWarmupDecay:
    def test_rates_rise_and_then_fall_to_zero(self):
        factor = WarmupDecay(n_steps=10, warmup_fraction=0.2)
        assert [factor(step) for step in range(11)] == pytest.approx(
            [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0]
        )

    def test_without_warm_up_they_start_at_their_peak(self):
        assert WarmupDecay(4, 0)(0) == 1

    @pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.99])
    @pytest.mark.parametrize("n_steps", [1, 2, 3, 50])
    def test_no_step_of_the_training_is_wasted(self, n_steps, fraction):
        factors = [WarmupDecay(n_steps, fraction)(step) for step in range(n_steps)]
        assert min(factors) > 0
        assert max(factors) <= 1
