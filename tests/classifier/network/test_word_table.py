import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sktransfer.classifier.network.word_table import PADDING, UNKNOWN, WordInput
from sktransfer.words.featurizer import WordVectorFeaturizer
from sktransfer.words.vectors import WordVectors

TEXTS = ["good good film", "the plot is bad", "", "boring", "great camera awful price"]


def features(encoder, texts, learn_from=None):
    """What an untrained body gives for texts, and its input."""
    reader = WordInput.learn(encoder, learn_from or texts)
    body = reader.build_body(np.random.default_rng(0))
    rows = reader.rows(texts)
    with torch.no_grad():
        return body(**rows.batch(np.arange(len(texts)))).numpy(), reader


class TestAgreement:
    """An untrained table gives what the featurizer gives."""

    @pytest.mark.parametrize("normalize", [False, True])
    @pytest.mark.parametrize("weighting", [None, "idf", "sif"])
    @pytest.mark.parametrize(
        "pooling", ["mean", "sum", "max", "min", ("mean", "max", "min", "sum")]
    )
    def test_for_each_pooling_and_weighting(self, words, pooling, weighting, normalize):
        encoder = words(pooling=pooling, weighting=weighting, normalize=normalize)
        found, _ = features(encoder.fit(TEXTS), TEXTS)
        np.testing.assert_allclose(found, encoder.transform(TEXTS), atol=1e-5)

    @pytest.mark.parametrize("normalize", [False, True])
    def test_with_common_components_taken_out(self, words, normalize):
        encoder = words(n_components_removed=2, normalize=normalize).fit(TEXTS)
        found, _ = features(encoder, TEXTS)
        np.testing.assert_allclose(found, encoder.transform(TEXTS), atol=1e-5)

    @pytest.mark.parametrize("parameters", [{"max_length": 2}, {"lowercase": False}])
    def test_with_texts_read_as_the_featurizer_reads_them(self, words, parameters):
        texts = ["good FILM bad plot", "Great"]
        encoder = words(tokenizer=str.split, **parameters).fit(texts)
        found, _ = features(encoder, texts, learn_from=["good film great bad plot"])
        np.testing.assert_allclose(found, encoder.transform(texts), atol=1e-5)

    @settings(
        deadline=None,
        max_examples=30,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        texts=st.lists(
            st.lists(st.sampled_from(["good", "bad", "film", "plot", "酒店"])).map(
                " ".join
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_also_for_words_that_come_after_training(self, words, texts):
        encoder = words(pooling=("mean", "max"), weighting="idf").fit(["bad film"])
        found, _ = features(encoder, texts, learn_from=["bad film"])
        np.testing.assert_allclose(found, encoder.transform(texts), atol=1e-5)


class TestTable:
    def build(self, n_new=500, width=50):
        vectors = WordVectors(["good", "bad"], np.full((2, width), [[2.0], [-2.0]]))
        encoder = WordVectorFeaturizer(vectors, tokenizer=str.split).fit(["x"])
        new = [f"word{number}" for number in range(n_new)]
        reader = WordInput.learn(encoder, ["good bad", " ".join(new)])
        table = reader.build_body(np.random.default_rng(0)).table.weight.detach()
        return table.numpy(), reader.vocabulary

    def test_it_has_two_rows_more_than_words(self):
        table, vocabulary = self.build()
        assert len(table) == len(vocabulary) + 2
        assert sorted(vocabulary.values()) == list(range(2, len(table)))

    def test_padding_is_zeros(self):
        table, _ = self.build()
        assert not table[PADDING].any()

    def test_words_with_a_vector_have_it(self):
        table, vocabulary = self.build()
        assert (table[vocabulary["good"]] == 2).all()
        assert (table[vocabulary["bad"]] == -2).all()

    def test_the_unknown_row_is_normal_of_scale_0_6(self):
        table, _ = self.build(width=5000, n_new=1)
        assert table[UNKNOWN].std() == pytest.approx(0.6, rel=0.05)
        assert table[UNKNOWN].mean() == pytest.approx(0, abs=0.05)

    def test_words_without_a_vector_are_uniform_and_small(self):
        table, vocabulary = self.build()
        new = table[[row for word, row in vocabulary.items() if word[:4] == "word"]]
        assert np.abs(new).max() <= 0.05
        assert new.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.05)


class TestUnseenWords:
    @pytest.fixture
    def encoder(self):
        vectors = WordVectors(["good", "bad"], [[1.0, 0.0], [0.0, 1.0]])
        return WordVectorFeaturizer(vectors, tokenizer=str.split)

    def test_one_with_a_vector_gets_its_vector(self, encoder):
        found, _ = features(encoder.fit(["x"]), ["good bad"], learn_from=["good"])
        np.testing.assert_allclose(found, [[0.5, 0.5]])

    def test_one_without_is_skipped_where_the_featurizer_skips(self, encoder):
        found, _ = features(encoder.fit(["x"]), ["good hm", "hm"], learn_from=["good"])
        np.testing.assert_allclose(found, [[1, 0], [0, 0]])

    def test_else_it_is_the_unknown_row(self, encoder):
        encoder.set_params(oov="zero").fit(["x"])
        reader = WordInput.learn(encoder, ["good"])
        assert reader.rows(["good hm"]).ids.values.tolist() == [2, UNKNOWN]

    def test_one_without_is_made_up_where_the_featurizer_makes_it_up(self, encoder):
        encoder.set_params(oov="random", random_state=0).fit(["x"])
        texts = ["good hm", "hm", "tut tut", "bad learnt"]
        found, _ = features(encoder, texts, learn_from=["good learnt"])
        np.testing.assert_allclose(found, encoder.transform(texts), atol=1e-6)
        assert np.abs(found[1] - found[2]).max() > 0.01

    def test_pieces_of_words_make_one_up(self):
        from gensim.models import FastText

        sentences = [["good", "film"], ["bad", "film"]] * 9
        sizes = {"vector_size": 4, "min_count": 1, "bucket": 30, "workers": 1}
        encoder = WordVectorFeaturizer(FastText(sentences, **sizes), oov="subword")
        texts = ["goodly film", "badly", "learnt film"]
        encoder.fit(["x"])
        found, _ = features(encoder, texts, learn_from=["good learnt"])
        np.testing.assert_allclose(found, encoder.transform(texts), atol=1e-6)
        assert np.abs(found[0] - found[1]).max() > 0

    def test_rows_stay_right_when_taken_apart(self, encoder):
        encoder.set_params(weighting="idf").fit(["good bad", "good"])
        texts = ["good", "", "bad good", "bad bad bad"]
        whole, reader = features(encoder, texts, learn_from=["good"])
        body = reader.build_body(np.random.default_rng(0))
        rows = reader.rows(texts).take(np.array([3, 0, 1]))
        with torch.no_grad():
            part = body(**rows.batch(np.array([0, 2]))).numpy()
        np.testing.assert_allclose(part, whole[[3, 1]], atol=1e-6)
        assert rows.lengths.tolist() == [3, 1, 0]


class TestTraining:
    def test_padding_stays_zero(self, make, words, sentiment_texts):
        model = make(encoder=words(), strategy="fine_tune").fit(*sentiment_texts)
        body = model.net_.module_.body
        assert not body.table.weight[PADDING].any()

    def test_the_table_learns_what_vectors_lack(self, make):
        vectors = WordVectors(["film"], np.ones((1, 4)))
        texts = ["film gut", "film mies"] * 20
        labels = ["pos", "neg"] * 20
        encoder = WordVectorFeaturizer(vectors, tokenizer=str.split)
        tuned = make(encoder=encoder, strategy="fine_tune", max_epochs=30)
        assert tuned.fit(texts, labels).score(texts, labels) == 1
        frozen = make(encoder=encoder, max_epochs=30)
        assert frozen.fit(texts, labels).score(texts, labels) == 0.5

    def test_a_prediction_does_not_depend_on_the_company(
        self, make, words, sentiment_texts
    ):
        texts, labels = sentiment_texts
        model = make(encoder=words(), strategy="fine_tune").fit(texts[:40], labels[:40])
        logits = model.decision_function(texts)
        alone = [model.decision_function([text]).item() for text in texts[::9]]
        np.testing.assert_allclose(alone, logits[::9], atol=1e-6)
