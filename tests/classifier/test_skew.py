"""What is learnt where one class is rare."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from skorch.callbacks import Callback, EpochScoring

from sktransfer.exceptions import TransferWarning

LOG_ODDS = np.log(6 / 42)


def sparse_numbers(shape, density):
    numbers = np.random.default_rng(0).random(shape)
    return sparse.csr_array(np.where(numbers < density, numbers / density, 0))


def output_bias(model):
    return model.net_.module_.head.output.bias.detach().numpy()


@pytest.fixture
def still(make):
    """Classifiers whose training changes nothing, so that one sees where it began."""

    def still(**parameters):
        rates = {"head_learning_rate": 0.0, "encoder_learning_rate": 0.0}
        return make(**{"hidden_layer_sizes": (8,)} | rates | parameters)

    return still


@pytest.fixture
def skewed(sentiment_texts):
    """Six positive texts among 48."""
    texts, labels = (np.asarray(one) for one in sentiment_texts)
    rare, common = np.flatnonzero(labels == "pos"), np.flatnonzero(labels == "neg")
    rows = np.resize(rare, 6), np.resize(common, 42)
    rows = np.concatenate(rows)
    return texts[rows].tolist(), labels[rows]


class TestStart:
    @pytest.mark.parametrize(
        "strategy",
        [
            "feature_extraction",
            "partial",
            "gradual",
            "lora",
            "bias",
            "fine_tune",
            "contrastive",
        ],
    )
    @pytest.mark.parametrize("sizes", [(8,), (8, 4)])
    def test_the_output_bias_is_the_log_odds(self, still, skewed, strategy, sizes):
        model = still(strategy=strategy, hidden_layer_sizes=sizes).fit(*skewed)
        assert output_bias(model) == pytest.approx(LOG_ODDS, abs=1e-6)

    @pytest.mark.parametrize("strategy", ["partial", "fine_tune"])
    def test_of_a_linear_head_as_well(self, still, skewed, strategy):
        class Look(Callback):
            def on_train_begin(self, net, **kwargs):
                seen.append(net.module_.output.bias.item())

        seen = []
        model = still(strategy=strategy, hidden_layer_sizes=(), callbacks=[Look()])
        model.fit(*skewed)
        assert seen == [pytest.approx(LOG_ODDS, abs=1e-6)]
        # In the end its probabilities are those of the classes, on average.
        shares = model.predict_proba(skewed[0]).mean(axis=0)
        np.testing.assert_allclose(shares, [42 / 48, 6 / 48], atol=1e-4)

    @pytest.mark.parametrize(
        "strategy", ["feature_extraction", "fine_tune", "contrastive"]
    )
    def test_above_words_too(self, still, skewed, words, strategy):
        model = still(strategy=strategy, encoder=words()).fit(*skewed)
        assert output_bias(model) == pytest.approx(LOG_ODDS, abs=1e-6)

    def test_above_sparse_numbers_too(self, still):
        X = sparse_numbers((40, 6), density=0.5)
        model = still().fit(X, np.arange(40) < 10)
        assert output_bias(model) == pytest.approx(np.log(10 / 30), abs=1e-6)

    def test_rows_held_out_do_not_count(self, still):
        X = np.random.default_rng(0).normal(size=(60, 3))
        y = np.arange(60) < 9
        model = still(early_stopping=True, validation_fraction=0.5).fit(X, y)
        assert model.class_count_.sum() == 30
        common, rare = model.class_count_
        assert output_bias(model) == pytest.approx(np.log(rare / common), abs=1e-6)

    def test_a_fit_that_goes_on_keeps_what_it_has_learnt(self, still, skewed):
        texts, labels = skewed
        model = still(warm_start=True).fit(texts, labels)
        model.fit(texts[3:], labels[3:])
        assert output_bias(model) == pytest.approx(LOG_ODDS, abs=1e-6)

    def test_for_numbers_and_more_classes_it_is_the_log_shares(self, still):
        X = np.random.default_rng(0).normal(size=(40, 3))
        y = np.repeat([0, 1, 2], [28, 8, 4])
        model = still().fit(X, y)
        np.testing.assert_allclose(output_bias(model), np.log([0.7, 0.2, 0.1]), 1e-6)

    def test_weights_count(self, still, skewed):
        model = still(class_weight="balanced").fit(*skewed)
        assert output_bias(model) == pytest.approx(0, abs=1e-6)
        texts, labels = skewed
        weight = np.where(labels == "pos", 7.0, 1.0)
        model = still().fit(texts, labels, sample_weight=weight)
        assert output_bias(model) == pytest.approx(0, abs=1e-6)

    def test_a_last_layer_that_starts_anew_does_so_too(self, still, skewed):
        texts, labels = skewed
        source = still().fit(texts, np.where(labels == "pos", "good", "bad"))
        model = still(init_from=FrozenEstimator(source))
        with pytest.warns(TransferWarning, match="starts anew"):
            model.fit(texts[3:], labels[3:])
        assert output_bias(model) == pytest.approx(np.log(3 / 42), abs=1e-6)

    @pytest.mark.parametrize("strategy", ["fine_tune", "contrastive"])
    def test_so_it_does_where_the_source_has_more_classes(
        self, still, skewed, strategy
    ):
        texts, labels = skewed
        three = np.where(np.arange(48) % 5 == 0, "so-so", labels)
        source = still(strategy=strategy).fit(texts, three)
        model = still(init_from=FrozenEstimator(source), strategy=strategy)
        with pytest.warns(TransferWarning, match="starts anew"):
            model.fit(texts, labels)
        assert output_bias(model) == pytest.approx(LOG_ODDS, abs=1e-6)

    def test_a_last_layer_that_is_the_sources_stays(self, still, skewed):
        texts, labels = skewed
        source = still().fit(texts, labels)
        model = still(init_from=FrozenEstimator(source)).fit(texts[3:], labels[3:])
        assert output_bias(model) == pytest.approx(LOG_ODDS, abs=1e-6)

    def test_a_class_that_has_not_come_yet_is_possible(self, still):
        X = np.random.default_rng(0).normal(size=(4, 3))
        model = still().partial_fit(X, [0, 0, 1, 1], classes=[0, 1, 2])
        shares = np.array([2, 2, 0.5]) / 4.5
        np.testing.assert_allclose(output_bias(model), np.log(shares), 1e-6)

    def test_a_first_update_counts_weights_and_later_ones_leave_it(self, still):
        X = np.random.default_rng(0).normal(size=(4, 3))
        model = still().partial_fit(
            X, [0, 0, 0, 1], classes=[0, 1], sample_weight=[1, 1, 1, 9]
        )
        assert output_bias(model) == pytest.approx(np.log(3), abs=1e-6)
        model.partial_fit(X, [0, 0, 0, 1])
        assert output_bias(model) == pytest.approx(np.log(3), abs=1e-6)


class TestHeads:
    @pytest.fixture
    def rows(self):
        """240 rows to learn from and 2,000 to test on, one in ten of class 1."""
        random = np.random.default_rng(0)
        y = (np.arange(2240) % 10 == 0).astype(int)
        X = random.normal(size=(2240, 24)) / 2
        X[:, :4] += 0.6 * y[:, None]
        return X[:240], y[:240], X[240:], y[240:]

    @pytest.mark.parametrize("sizes", [(), (64, 32)])
    def test_they_find_the_rare_class_as_logistic_regression_does(
        self, make, rows, sizes
    ):
        X, y, X_test, y_test = rows
        peer = LogisticRegression().fit(X, y).predict(X_test)
        model = make(hidden_layer_sizes=sizes, max_epochs="auto", batch_size="auto")
        found = model.fit(X, y).predict(X_test)
        assert np.mean(found == y_test) > np.mean(peer == y_test) - 0.02
        ours, theirs = (f1_score(y_test, one, average="macro") for one in (found, peer))
        assert ours > theirs - 0.05


class TestLinearHead:
    @pytest.fixture
    def rows(self):
        random = np.random.default_rng(0)
        X = random.normal(size=(90, 8))
        return X, (X[:, 0] + random.normal(size=90) > 0.5).astype(int)

    def test_it_does_not_depend_on_the_order_of_the_rows(self, make, rows):
        X, y = rows
        order = np.random.default_rng(1).permutation(len(y))
        one = make(hidden_layer_sizes=(), random_state=0).fit(X, y)
        other = make(hidden_layer_sizes=(), random_state=1).fit(X[order], y[order])
        np.testing.assert_allclose(
            one.decision_function(X), other.decision_function(X), atol=1e-4
        )

    def test_integer_weights_are_repeated_rows(self, make, rows):
        X, y = rows
        counts = np.arange(len(y)) % 3 + 1
        weighted = make(hidden_layer_sizes=()).fit(X, y, sample_weight=counts)
        repeated = make(hidden_layer_sizes=())
        repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
        np.testing.assert_allclose(
            weighted.decision_function(X), repeated.decision_function(X), atol=1e-6
        )

    @pytest.mark.parametrize("kind", ["texts", "words", "numbers", "sparse", "tuned"])
    def test_it_is_solved_wherever_its_features_rest(
        self, make, words, sentiment_texts, kind
    ):
        texts, labels = sentiment_texts
        rows = {
            "numbers": np.random.default_rng(0).normal(size=(96, 4)),
            "sparse": sparse_numbers((96, 9), density=0.3),
        }
        X = rows.get(kind, texts)
        options = {"hidden_layer_sizes": (), "max_epochs": 7}
        if kind == "words":
            options["encoder"] = words()
        if kind == "tuned":
            source = make(strategy="fine_tune", **options).fit(texts, labels)
            options["init_from"] = FrozenEstimator(source)
        model = make(**options).fit(X, labels)
        (epoch,) = model.history_
        assert epoch["train_loss"] < 0.69
        assert model.net_.train_split is None
        # At the minimum the mean error of a free bias is nothing.
        error = model.predict_proba(X)[:, 1] - (labels == "pos")
        assert error.mean() == pytest.approx(0, abs=1e-4)

    @pytest.mark.parametrize(
        "options", [{"strategy": "contrastive"}, {"head_first": True}]
    )
    def test_before_and_after_layers_it_is_solved_too(
        self, make, sentiment_texts, options
    ):
        strategy = {"strategy": "fine_tune", "hidden_layer_sizes": (), "max_epochs": 7}
        model = make(**strategy | options).fit(*sentiment_texts)
        assert [line["part"] for line in model.history_].count("head") == 1

    def test_sparse_rows_give_what_dense_ones_do(self, make, rows):
        X, y = rows
        options = {"hidden_layer_sizes": (), "scale_features": False}
        dense = make(**options).fit(X, y).decision_function(X)
        thin = make(**options).fit(sparse.csr_array(X), y).decision_function(X)
        np.testing.assert_allclose(thin, dense, atol=1e-6)

    def test_weight_decay_is_its_penalty(self, make, rows):
        X, y = rows
        sizes = []
        for decay in (0.0, 0.1, 10.0):
            model = make(hidden_layer_sizes=(), weight_decay=decay).fit(X, y)
            sizes.append(float(model.net_.module_.head.output.weight.norm().detach()))
        assert sizes[0] > 1.5 * sizes[1] > 5 * sizes[2]

    def test_callbacks_see_one_epoch(self, make, rows):
        class Counting(Callback):
            def initialize(self):
                self.seen = []

            def on_train_begin(self, net, **kwargs):
                self.seen.append("begin")

            def on_epoch_end(self, net, **kwargs):
                self.seen.append("epoch")

            def on_train_end(self, net, **kwargs):
                self.seen.append("end")

        X, y = rows
        counting = Counting()
        score = EpochScoring(
            lambda net, rows, y: 0.5, name="half", on_train=True, use_caching=False
        )
        model = make(hidden_layer_sizes=(), callbacks=[counting, score])
        model.fit(X, y, X_val=X, y_val=y)
        assert counting.seen == ["begin", "epoch", "end"]
        (epoch,) = model.history_
        assert epoch["half"] == 0.5
        assert epoch["valid_loss"] == pytest.approx(epoch["train_loss"], rel=1e-4)
        assert epoch["dur"] >= 0
