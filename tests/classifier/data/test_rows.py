import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator

from sktransfer.classifier.data.rows import TokenInput, WindowFeatures
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.encoders import loaded_models as checkpoints
from sktransfer.exceptions import InvalidInputError, TruncationWarning

LONG = "the film is good and the plot is bad " * 12
TEXTS = ["good", LONG, "", "bad film", LONG + LONG]


@pytest.fixture
def windows(bert):
    """Tokens of texts of which two are read in windows of 16."""
    encoder = bert(long_text="window", max_length=16).fit(TEXTS)
    return TokenInput(encoder).rows(TEXTS)


class TestTokens:
    def test_a_text_is_a_row_whatever_its_windows(self, windows):
        assert len(windows) == len(TEXTS)
        assert len(windows.tokens) > len(TEXTS)

    def test_a_text_costs_all_its_windows(self, windows):
        tokens = windows.tokens
        expected = np.bincount(tokens.text_of_row, weights=tokens.lengths)
        np.testing.assert_array_equal(windows.lengths, expected)

    def test_a_batch_says_which_window_is_whose(self, windows):
        batch = windows.batch(np.array([4, 0, 1]))
        counts = np.bincount(batch["text_of_row"])
        expected = np.bincount(windows.tokens.text_of_row)[[4, 0, 1]]
        assert counts.tolist() == expected.tolist()
        assert batch["input_ids"].shape == batch["attention_mask"].shape
        assert len(batch["input_ids"]) == counts.sum()

    def test_without_windows_a_batch_says_nothing_of_them(self, windows):
        assert set(windows.batch(np.array([0, 3]))) == {"input_ids", "attention_mask"}

    def test_taking_texts_takes_their_windows(self, windows):
        taken = windows.take(np.array([4, 2, 4]))
        assert taken.lengths.tolist() == windows.lengths[[4, 2, 4]].tolist()
        for ours, theirs in ([0, 4], [1, 2], [2, 4]):
            one, other = (
                taken.batch(np.array([ours])),
                windows.batch(np.array([theirs])),
            )
            for name, tensor in one.items():
                torch.testing.assert_close(tensor, other[name])


class TestFeaturesOfWindows:
    @pytest.fixture
    def source(self, make, bert, sentiment_texts):
        """A model with a tuned encoder that reads windows."""
        encoder = bert(long_text="window", max_length=6)
        model = make(encoder=encoder, strategy="fine_tune")
        return model.fit(*sentiment_texts)

    def test_rows_are_texts(self, windows):
        matrix = np.arange(len(windows.tokens), dtype=np.float32)[:, None]
        features = WindowFeatures(matrix, windows)
        assert len(features) == len(TEXTS)
        batch = features.take(np.array([4, 0, 1])).batch(np.array([2, 1]))
        expected = windows.batch(np.array([1, 0]))
        torch.testing.assert_close(batch["text_of_row"], expected["text_of_row"])
        first = int(np.flatnonzero(windows.tokens.text_of_row == 1)[0])
        assert batch["features"][0].item() == first
        assert batch["features"][-1].item() == 0

    def test_a_frozen_tuned_body_reads_each_window_once(
        self, make, bert, source, sentiment_texts, monkeypatch
    ):
        n_passes = []
        forward = TransformerBody.forward

        def counting(self, input_ids, *args, **kwargs):
            n_passes.append(len(input_ids))
            return forward(self, input_ids, *args, **kwargs)

        monkeypatch.setattr(TransformerBody, "forward", counting)
        # As an architecture does that is no relative of BERT.
        monkeypatch.setattr(TransformerBody, "encode", lambda *_: None)
        model = make(
            encoder=clone(source.encoder),
            init_from=FrozenEstimator(source),
            max_epochs=5,
            early_stopping=True,
            calibrate=True,
        )
        texts, labels = sentiment_texts
        model.fit(texts, labels)
        n_windows = len(model._input.rows(texts).tokens)
        assert n_windows > len(texts)
        assert sum(n_passes) == n_windows
        logits = model.decision_function(texts)
        monkeypatch.undo()
        rows = model._input.rows(texts)
        inputs = rows.batch(np.arange(len(texts)))
        with torch.no_grad():
            expected = model.net_.module_.eval()(**inputs)[:, 0]
        np.testing.assert_allclose(logits, expected, atol=1e-5)


class TestWindows:
    @pytest.fixture
    def model(self, make, bert, sentiment_texts):
        encoder = bert(long_text="window", max_length=16)
        texts, labels = sentiment_texts
        model = make(encoder=encoder, strategy="fine_tune", max_epochs=1)
        return model.fit([*texts[:20], LONG], [*labels[:20], "pos"])

    def test_logits_are_the_mean_over_the_windows(self, model):
        rows = TokenInput(model.encoder_).rows([LONG])
        network = model.net_.module_.eval()
        with torch.no_grad():
            alone = [
                network(**dict(zip(("input_ids", "attention_mask"), pair, strict=True)))
                for pair in (rows.tokens.pad([i]) for i in range(len(rows.tokens)))
            ]
        assert len(alone) > 2
        expected = torch.stack(alone).mean().item()
        assert model.decision_function([LONG]).item() == pytest.approx(
            expected, abs=1e-5
        )

    def test_a_book_is_read_window_by_window(self, model, monkeypatch):
        seen = []
        forward = model.net_.module_.forward

        def look(**inputs):
            seen.append(len(inputs["input_ids"]))
            return forward(**inputs)

        book = ["good film " * 3000, "bad film"]
        monkeypatch.setattr(model.net_.module_, "forward", look)
        model.predict(book)
        assert sum(seen) > 500
        assert max(seen) <= 64

    def test_short_texts_in_the_batch_change_nothing(self, model):
        together = model.decision_function(TEXTS)
        alone = [model.decision_function([text]).item() for text in TEXTS]
        np.testing.assert_allclose(together, alone, atol=1e-5)

    def test_the_whole_text_counts(self, model):
        logits = model.decision_function([LONG + "good " * 30, LONG + "bad " * 30])
        assert abs(np.diff(logits).item()) > 1e-4

    def test_several_classes_are_averaged_too(self, make, bert):
        encoder = bert(long_text="window", max_length=16)
        model = make(encoder=encoder, strategy="fine_tune", max_epochs=1)
        model.fit(["good", LONG, "bad", LONG[5:]], ["a", "b", "c", "b"])
        assert model.decision_function(TEXTS).shape == (5, 3)
        np.testing.assert_allclose(model.predict_proba(TEXTS).sum(axis=1), 1)


class TestCutTexts:
    """Texts that lose their ends are said once, unless a length was asked for."""

    @pytest.mark.parametrize("strategy", ["feature_extraction", "partial", "fine_tune"])
    def test_fit_says_so_once(self, make, bert, strategy):
        model = make(encoder=bert(cache=None), strategy=strategy, max_epochs=1)
        with pytest.warns(
            TruncationWarning, match=r"1 of 3 texts.*64 tokens"
        ) as caught:
            model.fit([LONG, "good", "bad"], ["pos", "pos", "neg"])
        assert len(caught) == 1

    def test_predicting_says_so_too(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        model = make(strategy="fine_tune", max_epochs=1).fit(texts[:20], labels[:20])
        with pytest.warns(TruncationWarning, match="1 of 2 texts"):
            model.predict([LONG, "good"])

    @pytest.mark.parametrize(
        "parameters",
        [{"max_length": 64}, {"long_text": "head_tail"}, {"long_text": "window"}],
    )
    def test_who_chose_a_length_is_not_told(self, make, bert, parameters):
        model = make(encoder=bert(**parameters), strategy="fine_tune", max_epochs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit([LONG, "good", "bad"], ["pos", "pos", "neg"]).predict([LONG])


class TestFeaturesThatAreNoNumbers:
    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
    def test_they_are_refused_with_their_place(self, make, form):
        class Odd(TransformerMixin, BaseEstimator):
            def fit(self, X, y=None):
                self.fitted_ = True
                return self

            def transform(self, X):
                rows = [[len(x), np.nan if "odd" in x else 1.0] for x in X]
                return form(np.array(rows))

        texts = ["good", "bad", "fine", "poor"] * 3
        model = make(encoder=Odd()).fit(texts, ["pos", "neg"] * 6)
        with pytest.raises(
            InvalidInputError, match=r"an? Odd, gives NaN .* position 2"
        ):
            model.predict(["good", "bad", "odd", "odd"])


class TestFirstFeatures:
    @pytest.mark.parametrize(
        "parameters", [{"max_length": 60}, {"long_text": "window", "max_length": 16}]
    )
    def test_the_scale_is_that_of_the_encoder_s_vectors(
        self, make, bert, sentiment_texts, parameters
    ):
        texts, labels = sentiment_texts
        texts, labels = [*texts, LONG, LONG + LONG], [*labels, "pos", "neg"]
        model = make(encoder=bert(**parameters), strategy="partial", max_epochs=1)
        scaler = model.fit(texts, labels).net_.module_.scaler
        vectors = bert(**parameters).fit_transform(texts)
        np.testing.assert_allclose(scaler.mean, vectors.mean(axis=0), atol=1e-5)

    def test_no_second_copy_of_the_weights_is_loaded(
        self, make, bert, sentiment_texts, monkeypatch
    ):
        def never(*_, **__):
            raise AssertionError

        monkeypatch.setattr("sktransfer.encoders.loaded_models.PackedEncoder", never)
        monkeypatch.setattr(checkpoints, "_encoders", OrderedDict())
        make(encoder=bert(cache=None), strategy="fine_tune").fit(*sentiment_texts)
