import pytest
from sklearn.dummy import DummyClassifier

from sktransfer.classifier.classifier import TransferSentimentClassifier
from sktransfer.comparison.setup import named_encoders
from sktransfer.comparison.setup import named_strategies as choosing
from sktransfer.comparison.setup import named_strategies as defaults
from sktransfer.comparison.setup.candidates import (
    cost_of,
    prepare,
    seed_estimator,
)
from sktransfer.comparison.setup.named_strategies import (
    DEFAULTS,
    Setting,
    choose_baseline,
    choose_candidates,
    default_names,
)
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.estimators import inner_estimators
from sktransfer.exceptions import (
    InvalidParameterError,
    MissingExtraError,
    SktransferWarning,
)

ENGLISH = ["a good film", "a bad film"] * 4
CHINESE = ["手机很好用", "酒店太差了"] * 4


def setting(texts=ENGLISH, source=False, encoder="auto"):
    return Setting(texts, encoder, has_source=source)


@pytest.fixture
def here(tiny_bert):
    """Settings with weights that are there."""

    def here(texts=ENGLISH, **options):
        return setting(texts, encoder=tiny_bert, **options)

    return here


def names(found):
    return [candidate.name for candidate in getattr(found, "first", found)]


class TestDefaults:
    def test_english_texts(self, here):
        assert default_names(here()) == [
            "majority", "tfidf", "nbsvm", "vader", "word_vectors",
            "frozen", "frozen_64_32", "partial", "fine_tune", "contrastive",
        ]  # fmt: skip

    def test_chinese_texts(self, here):
        found = default_names(here(CHINESE))
        assert "snownlp" in found
        assert not {"vader", "word_vectors"} & set(found)

    def test_a_source_brings_its_uses(self, here):
        found = choose_candidates(None, None, None, here(source=True))
        uses = {c.name: (c.use, c.base) for c in found.first if c.use}
        assert uses == {
            "source_only": ("only", "fine_tune"),
            "transferred": ("start", "fine_tune"),
            "joint": ("joint", "fine_tune"),
        }

    def test_its_uses_share_one_model_of_the_source(self, here):
        made = [
            candidate
            for name in ("source_only", "transferred", "joint")
            for candidate in defaults.make_candidates(name, here(source=True))
        ]
        teachers = [candidate.learns_source().get_params() for candidate in made]
        assert {teacher["max_epochs"] for teacher in teachers} == {"auto"}
        assert [c.estimator.max_epochs for c in made] == ["auto", 3, 2]

    def test_every_name_can_be_made(self, here):
        for name in DEFAULTS:
            (made,) = defaults.make_candidates(name, here(source=True))
            assert made.name == name
            assert hasattr(made.estimator, "predict")

    @pytest.fixture
    def nothing_here(self, monkeypatch):
        """A machine without weights and vectors."""
        for module in (defaults, named_encoders):
            monkeypatch.setattr(module, "find_packaged", lambda *names: None)
        monkeypatch.setattr(named_encoders, "_is_cached", lambda name: False)

    def test_missing_weights_leave_strategies_out_and_say_so(self, nothing_here):
        with pytest.warns(SktransferWarning) as told:
            found = choose_candidates(None, "auto", None, setting())
        assert names(found) == ["majority", "tfidf", "nbsvm", "vader"]
        messages = [str(one.message) for one in told]
        assert messages[0].startswith(
            "word_vectors is left out: the word vectors 'glove"
        )
        assert messages[1].startswith("frozen is left out: no weights of a transformer")
        assert all("sktransfer[models]" in message for message in messages)
        assert len(messages) == 6

    def test_missing_weights_of_a_named_strategy_are_an_error(self, nothing_here):
        with pytest.raises(MissingExtraError, match="no weights of a transformer"):
            choose_candidates(["frozen"], None, None, setting())


class TestOrder:
    def test_cheap_ones_come_first(self, here):
        wanted = ["fine_tune", "joint", "frozen", "vader", "word_vectors", "majority"]
        found = choose_candidates(wanted, None, None, here(source=True))
        order = ["vader", "majority", "word_vectors", "frozen", "fine_tune", "joint"]
        assert names(found) == order

    def test_a_grid_makes_dearer(self, here):
        grids = {"tfidf": {"classifier__C": [1, 10]}}
        found = choose_candidates(["tfidf", "nbsvm"], None, grids, here())
        assert names(found) == ["nbsvm", "tfidf"]

    def test_given_estimators_are_looked_into(self, network):
        costs = [
            cost_of(choosing.Candidate("a", "given", estimator))
            for estimator in (
                DummyClassifier(),
                network(),
                network(strategy="partial"),
                network(strategy="fine_tune"),
            )
        ]
        assert costs == sorted(set(costs))


class TestNaming:
    def test_the_automatic_baseline_takes_part(self, here):
        found = choose_candidates({"mine": DummyClassifier()}, "auto", None, here())
        assert names(found) == ["majority", "tfidf", "mine"]
        assert choose_baseline("auto", found) == "tfidf"

    def test_a_named_baseline_takes_part(self, here):
        found = choose_candidates(["frozen"], "nbsvm", None, here())
        assert names(found) == ["nbsvm", "frozen"]

    def test_an_estimator_may_be_the_baseline(self, here):
        found = choose_candidates({"mine": DummyClassifier()}, "mine", None, here())
        assert names(found) == ["mine"]
        assert choose_baseline("mine", found) == "mine"
        assert choose_baseline(None, found) is None

    def test_a_default_may_get_another_name(self, here):
        (made,) = choose_candidates({"bag of words": "tfidf"}, None, None, here()).first
        assert (made.name, made.kind) == ("bag of words", "baseline")

    def test_one_name_will_do(self, here):
        assert names(choose_candidates("nbsvm", None, None, here())) == ["nbsvm"]

    def test_a_given_network_names_its_encoder(self, here):
        given = {"mine": TransferSentimentClassifier()}
        (made,) = choose_candidates(given, None, None, here()).first
        assert isinstance(made.estimator.encoder, BertFeaturizer)
        assert given["mine"].encoder is None

    @pytest.mark.parametrize(
        ("strategies", "message"),
        [
            ([], "strategies is empty"),
            (["frozzen"], "strategies names 'frozzen', but one of"),
            (["frozzen"], "Did you mean 'frozen'"),
            (["TF-IDF"], "Did you mean 'tfidf'"),
            (b"tfidf", "strategies=b'tfidf', but names are expected as str"),
            (["transferred"], "'transferred', which needs a source domain"),
            (5, "strategies is a int"),
            ({"mine": DummyClassifier}, "strategies\\['mine'\\] is"),
            ({"mine": 3}, "strategies\\['mine'\\] is 3"),
            ({3: DummyClassifier()}, "strategies names one 3"),
            (["tfidf", "tfidf"], "names 'tfidf' twice"),
        ],
    )
    def test_other_values_are_refused(self, here, strategies, message):
        with pytest.raises(InvalidParameterError, match=message):
            choose_candidates(strategies, None, None, here())

    def test_a_baseline_that_takes_no_part_is_refused(self, here):
        found = choose_candidates(["frozen"], "no such", None, here())
        with pytest.raises(InvalidParameterError, match="baseline='no such'"):
            choose_baseline("no such", found)


class TestEstimators:
    def test_seeds_reach_every_depth(self, words, network):
        from sklearn.ensemble import VotingClassifier

        both = VotingClassifier([("words", words), ("net", network())])
        seeded = seed_estimator(both, 3).get_params()
        assert seeded["words__logisticregression__random_state"] == 3
        assert seeded["net__random_state"] == 3

    def test_prefixes_lead_to_the_estimators(self, words):
        found = dict(inner_estimators(words))
        assert set(found) == {"", "countvectorizer__", "logisticregression__"}

    def test_what_has_no_start_cannot_be_transferred(self, words):
        candidate = choosing.Candidate("words", "given", words, use="start")
        with pytest.raises(InvalidParameterError, match="has no parameter init_from"):
            prepare(candidate, None, words)
