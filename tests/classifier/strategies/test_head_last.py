import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sktransfer.classifier.strategies import head_last


@pytest.fixture
def tuned(make):
    """Classifiers all of whose layers learn, under a linear head."""

    def tuned(**parameters):
        defaults = {"strategy": "fine_tune", "hidden_layer_sizes": "auto"}
        return make(**defaults | parameters)

    return tuned


@pytest.mark.parametrize("strategy", ["fine_tune", "partial", "gradual", "bias"])
def test_the_head_is_logistic_regression_on_what_the_layers_give(
    tuned, sentiment_texts, strategy
):
    texts, labels = sentiment_texts
    model = tuned(strategy=strategy).fit(texts[:48], labels[:48])
    features = model.net_.encode(model._input.rows(texts))
    centred = features - features[:48].mean(axis=0)
    length = np.sqrt((centred[:48] ** 2).sum(axis=1).mean())
    peer = LogisticRegression(C=10 if strategy != "bias" else 1, tol=1e-9, max_iter=500)
    peer.fit(centred[:48] / length, labels[:48])
    np.testing.assert_allclose(
        model.predict_proba(texts), peer.predict_proba(centred / length), atol=1e-3
    )
    assert model.temperature_ == 1


def test_one_with_hidden_layers_is_made_as_sure(tuned, sentiment_texts):
    texts, labels = sentiment_texts
    options = {"hidden_layer_sizes": (16,), "max_epochs": 20, "dropout": 0.0}
    options |= {"head_learning_rate": 0.02}
    model = tuned(**options).fit(texts, labels)
    linear = tuned(max_epochs=20, head_learning_rate=0.02).fit(texts, labels)
    sure = model.predict_proba(texts).max(axis=1).mean()
    assert sure == pytest.approx(
        linear.predict_proba(texts).max(axis=1).mean(), abs=0.1
    )
    options |= {"calibrate": False, "max_epochs": 1}
    assert tuned(**options).fit(texts, labels).temperature_ == 1


def test_it_is_drawn_to_the_head_of_a_source(tuned, sentiment_texts):
    texts, labels = sentiment_texts
    source = tuned(max_epochs=4).fit(texts, labels)
    turned = np.where(np.asarray(labels) == "pos", "neg", "pos")
    options = {"encoder_learning_rate": 0.0, "head_learning_rate": 0.0}
    anew = tuned(**options).fit(texts[::6], turned[::6])
    onwards = tuned(**options, init_from=FrozenEstimator(source))
    onwards.fit(texts[::6], turned[::6])
    ours, others, theirs = (
        m.net_.module_.output.weight.detach() for m in (onwards, anew, source)
    )
    away = [float((one - theirs).norm()) for one in (ours, others)]
    assert away[0] < away[1]


def test_an_update_leaves_it_as_it_learns(tuned, sentiment_texts):
    texts, labels = sentiment_texts
    model = tuned().fit(texts, labels)
    before = model.net_.module_.output.weight.detach().clone()
    model.set_params(head_learning_rate=1e-5, encoder_learning_rate=0.0)
    model.partial_fit(texts[:8], labels[:8])
    after = model.net_.module_.output.weight.detach()
    assert 0 < float((after - before).abs().max()) < 1e-3


def test_an_interrupt_leaves_the_head_that_learnt(tuned, sentiment_texts, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    texts, labels = sentiment_texts
    monkeypatch.setattr(head_last, "set_to_optimum", interrupt)
    model = tuned(max_epochs=4, head_learning_rate=0.05)
    with pytest.raises(KeyboardInterrupt):
        model.fit(texts, labels)
    assert float(model.net_.module_.output.weight.detach().abs().max()) > 0.01
    assert model.predict(texts).shape == (len(texts),)
