import ast
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from skorch.callbacks import EarlyStopping

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.classifier.network.transformer import TransformerBody
from sktransfer.classifier.network.word_table import EmbeddingBody
from sktransfer.encoders.cache.memory import memory_store
from sktransfer.encoders.encoding import n_texts_encoded
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.persistence import save
from sktransfer.words.featurizer import WordVectorFeaturizer


@pytest.fixture
def ran():
    """Fitted models of the last search, in the order of its candidates and folds."""
    models = []

    def score(model, X, y):
        models.append(model)
        return float((model.predict(X) == y).mean())

    score.models = models
    return score


@pytest.fixture
def counted():
    """How many texts have gone through a frozen encoder since the test began."""
    memory_store().clear()
    before = n_texts_encoded()
    yield lambda: n_texts_encoded() - before
    memory_store().clear()


def search(estimator, grid, ran, texts, labels, **options):
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    options = {"cv": folds, "scoring": ran, "error_score": "raise"} | options
    return GridSearchCV(estimator, grid, refit=False, **options).fit(texts, labels)


class TestPipeline:
    """One pipeline serves every strategy, and each candidate runs as it is named."""

    @pytest.fixture
    def pipe(self, make, bert):
        classifier = make(encoder=None, max_epochs=1)
        return Pipeline([("features", bert()), ("classifier", classifier)])

    def test_over_features_strategies_and_heads(
        self, pipe, bert, words, ran, sentiment_texts, counted, monkeypatch, tiny_bert
    ):
        texts, labels = sentiment_texts
        tuned = bert()
        grid = [
            {
                "features": [bert(), words()],
                "classifier__hidden_layer_sizes": [(), (4,)],
            },
            {
                "features": ["passthrough"],
                "classifier__encoder": [tuned],
                "classifier__strategy": ["partial", "fine_tune"],
                "classifier__hidden_layer_sizes": [(4,)],
            },
            {"features": [TfidfVectorizer()], "classifier": [LogisticRegression()]},
        ]
        found = search(pipe, grid, ran, texts, labels)
        assert len(ran.models) == 2 * 7
        for named, model in zip(
            found.cv_results_["params"], ran.models[::2], strict=True
        ):
            features, classifier = model.steps[0][1], model.steps[1][1]
            if isinstance(named.get("classifier"), LogisticRegression):
                assert isinstance(classifier, LogisticRegression)
                continue
            network = classifier.net_.module_
            assert (
                network.layout.hidden_layer_sizes
                == (named["classifier__hidden_layer_sizes"])
            )
            if named["features"] == "passthrough":
                assert isinstance(network.body, TransformerBody)
                learns = network.body.transformer.embeddings.LayerNorm.weight
                strategy = named["classifier__strategy"]
                tuned_names = " ".join(network.body.tuned)
                assert ("embeddings" in tuned_names) == (strategy == "fine_tune")
                assert learns.shape == (32,)
            else:
                assert type(features) is type(named["features"])
                assert network.body is None
                assert network.layout.n_features == features.n_features_out_
        # One frozen setting, however many candidates, folds and strategies.
        assert counted() == len(set(texts))

    def test_over_model_and_pooling(
        self, pipe, ran, sentiment_texts, counted, tiny_bert, other_tiny_bert
    ):
        texts, labels = sentiment_texts
        grid = {
            "features__model": [tiny_bert, other_tiny_bert],
            "features__pooling": ["mean", ("cls", "max")],
            "classifier__hidden_layer_sizes": [(), (3,)],
        }
        found = search(pipe, grid, ran, texts, labels)
        outcomes = []
        for named, model in zip(
            found.cv_results_["params"], ran.models[::2], strict=True
        ):
            featurizer, classifier = model.steps[0][1], model.steps[1][1]
            assert featurizer.checkpoint_.name == named["features__model"]
            poolings = np.atleast_1d(named["features__pooling"]).tolist()
            assert list(featurizer.pooling_) == poolings
            assert classifier.n_features_in_ == 32 * len(poolings)
            outcomes.append(tuple(model.decision_function(texts[:5])))
        assert len(set(outcomes)) == 8
        assert counted() == 4 * len(set(texts))


class TestBareClassifier:
    def test_the_full_product_is_one_grid(
        self, make, bert, words, ran, sentiment_texts, counted
    ):
        texts, labels = sentiment_texts
        grid = {
            "encoder": [bert(), words()],
            "strategy": ["feature_extraction", "fine_tune"],
            "hidden_layer_sizes": [(), (4,)],
        }
        found = search(make(max_epochs=1), grid, ran, texts, labels)
        outcomes = []
        for named, model in zip(
            found.cv_results_["params"], ran.models[::2], strict=True
        ):
            assert type(model.encoder_) is type(named["encoder"])
            bodies = {
                BertFeaturizer: TransformerBody,
                WordVectorFeaturizer: EmbeddingBody,
            }
            body = model.net_.module_.body
            if named["strategy"] == "fine_tune":
                assert type(body) is bodies[type(named["encoder"])]
            else:
                assert body is None
            sizes = model.net_.module_.layout.hidden_layer_sizes
            assert sizes == named["hidden_layer_sizes"]
            outcomes.append(tuple(model.decision_function(texts[:5])))
        assert len(set(outcomes)) == 8
        assert counted() == len(set(texts))

    def test_parameters_of_the_encoder_are_within_reach(
        self, make, ran, sentiment_texts
    ):
        texts, labels = sentiment_texts
        grid = {"encoder__pooling": ["mean", ("cls", "max")]}
        search(make(strategy="fine_tune", max_epochs=1), grid, ran, texts, labels)
        widths = [model.net_.module_.layout.n_features for model in ran.models[::2]]
        assert widths == [32, 64]

    @pytest.mark.slow
    def test_two_processes(self, make, words, sentiment_texts):
        texts, labels = sentiment_texts
        grid = {"strategy": ["feature_extraction", "fine_tune"], "encoder": [words()]}
        results = [
            GridSearchCV(
                make(max_epochs=3), grid, cv=2, n_jobs=n_jobs, error_score="raise"
            ).fit(texts, labels)
            for n_jobs in (1, 2)
        ]
        one, two = (r.cv_results_["mean_test_score"].tolist() for r in results)
        assert one == two
        assert results[1].predict(texts[:3]).shape == (3,)

    @pytest.mark.slow
    def test_a_transformer_in_two_processes(self, make, sentiment_texts):
        texts, labels = sentiment_texts
        grid = {"strategy": ["feature_extraction", "partial"]}
        found = GridSearchCV(
            make(max_epochs=1), grid, cv=2, n_jobs=2, error_score="raise"
        ).fit(texts[:40], labels[:40])
        assert found.predict_proba(texts[:3]).shape == (3, 2)

    def test_threads_may_share_the_process(self, make, bert, sentiment_texts):
        from joblib import parallel_config

        texts, labels = sentiment_texts
        grid = {"strategy": ["feature_extraction", "fine_tune"]}
        expected = GridSearchCV(make(max_epochs=1), grid, cv=2).fit(texts, labels)
        state = torch.get_rng_state()
        with parallel_config("threading", n_jobs=2):
            found = GridSearchCV(make(max_epochs=1), grid, cv=2, n_jobs=2)
            found.fit(texts, labels)
        np.testing.assert_array_equal(
            found.cv_results_["mean_test_score"],
            expected.cv_results_["mean_test_score"],
        )
        assert torch.equal(torch.get_rng_state(), state)

    def test_the_default_classifier_is_cheap_to_clone(self):
        from sklearn.base import clone

        model = clone(TransferSentimentClassifier(strategy="partial"))
        assert not hasattr(model, "net_")


ROOT = Path(__file__).parents[2]
GUIDES = ["README.md", *sorted(path.name for path in (ROOT / "docs").glob("*.rst"))]


def grids_of(guide):
    """Grids that a guide assigns to a name, as source text."""
    path = ROOT / guide if guide == "README.md" else ROOT / "docs" / guide
    blocks = re.findall(r"(?:^ {4}.*\n|^\n)+", path.read_text("utf-8"), re.MULTILINE)
    if guide == "README.md":
        blocks = re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.S)
    found = []
    for block in blocks:
        try:
            statements = ast.parse(textwrap.dedent(block)).body
        except SyntaxError:  # no Python
            continue
        for one in statements:
            if isinstance(one, ast.Assign) and ast.unparse(one.targets) == "grid":
                found.append(ast.unparse(one.value))
    return found


SHOWN = [(guide, grid) for guide in GUIDES for grid in grids_of(guide)]


class TestGuides:
    def test_they_show_grids(self):
        assert {guide for guide, _ in SHOWN} >= {
            "README.md",
            "choosing.rst",
            "encoders.rst",
            "encoding.rst",
            "transferring.rst",
        }

    @pytest.mark.parametrize(("guide", "grid"), SHOWN)
    def test_each_grid_runs(
        self, make, bert, words, sentiment_texts, tiny_bert, tmp_path, guide, grid
    ):
        texts, labels = sentiment_texts[0][:16], sentiment_texts[1][:16]
        folder = tmp_path / "movies"
        if "models/movies" in grid:
            save(make(max_epochs=1).fit(texts, labels), folder)
        grid = grid.replace("'models/movies'", repr(str(folder)))
        for name in ("all-MiniLM-L6-v2", "multilingual-e5-small", "glove-6b-50d"):
            grid = grid.replace(repr(name), repr(tiny_bert))
        found = eval(  # of our own guides
            grid,
            {
                "BertFeaturizer": lambda *model, **options: bert(**options),
                "fast": bert(),
                "WordVectorFeaturizer": words,
                "TfidfVectorizer": TfidfVectorizer,
                "LogisticRegression": LogisticRegression,
                "GridSearchCV": GridSearchCV,
                "make_pipeline": make_pipeline,
            },
        )
        if not isinstance(found, GridSearchCV):
            model = make(max_epochs=1)
            if "early" in grid:
                early = EarlyStopping("train_loss", sink=lambda text: None)
                model.set_params(callbacks=[("early", early)])
            if "features" in grid:
                model = Pipeline([("features", bert()), ("classifier", model)])
            found = GridSearchCV(model, found)
        found.set_params(cv=2, error_score="raise").fit(texts, labels)
