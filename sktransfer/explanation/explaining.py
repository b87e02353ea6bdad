"""explain: what each word of a text adds to the decision of a fitted estimator."""

from __future__ import annotations

import numpy as np

from sktransfer.estimators import TextClassifier
from sktransfer.exceptions import InvalidInputError, InvalidParameterError
from sktransfer.explanation.contributions import Explanation
from sktransfer.explanation.linear_parts import attribute_counts
from sktransfer.explanation.networks import attribute_vectors, integrate_transformer
from sktransfer.explanation.opened_model import (
    Attribution,
    OpenedModel,
    find_class,
    open_model,
)
from sktransfer.explanation.word_spans import Span, spread_over_words, word_spans
from sktransfer.texts import check_texts
from sktransfer.validation import check_parameters, one_of

__all__ = ["explain", "occlude"]

METHODS = ("auto", "exact", "gradients", "occlusion")


def occlude(model: OpenedModel, text: str, words: list[Span]) -> Attribution:
    """Leave out each word in turn: one prediction a word, and two more.

    The values need not add up: what two words do only together is in both or neither.
    """
    without = [text[:start] + text[stop:] for start, stop in words]
    value, base, *others = model.margins([text, "", *without]).tolist()
    return Attribution(
        "occlusion", list(words), [value - other for other in others], value, base
    )


def explain(
    estimator: TextClassifier,
    text: str,
    *,
    label: object = None,
    method: str = "auto",
) -> Explanation:
    """What each word of a text contributes to a classifier's decision.

    "exact" is arithmetic: where the features are counts, TF-IDF or the mean of word
    vectors, and the decision on them is linear, each word has its own share of the
    logit. "gradients" are integrated gradients [1]_ at the embeddings of words or
    tokens, for networks, and for a `BertFeaturizer` under a network or a linear model;
    sub-words are put together to words (extra ``explain``). "occlusion" leaves out each
    word in turn, for any other classifier.

    Parameters
    ----------
    estimator : classifier
        Fitted on texts: a `TransferSentimentClassifier`, a pipeline, a search over
        them, or anything that predicts texts.
    text : str
        The text; the empty one has no words.
    label : object, default=None
        Label to explain; None is the one that the estimator predicts.
    method : {"auto", "exact", "gradients", "occlusion"}, default="auto"
        "auto" is the first of the others that the estimator allows.

    Returns
    -------
    explanation : Explanation
        Contributions add up to the margin of the label, its logit where there is one,
        over that of a text that says nothing; under "occlusion" only roughly.

    Raises
    ------
    InvalidInputError
        If `text` is not a str.
    InvalidParameterError
        If the estimator does not know the label, is no classifier of texts, or does not
        allow the method.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    Explanation : What is returned.

    Notes
    -----
    The contributions say what this estimator does with this text, not what is true of
    its words.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017). "Axiomatic Attribution for Deep Networks".
       ICML.

    Examples
    --------
    >>> from sktransfer import explain, load_mini_reviews
    >>> from sktransfer.baselines import tfidf_baseline
    >>> texts, labels = load_mini_reviews("en", return_X_y=True)
    >>> model = tfidf_baseline(texts).fit(texts, labels)
    >>> explanation = explain(model, "I love it, a great film")
    >>> int(explanation.label), explanation.method
    (1, 'exact')
    >>> frame = explanation.to_frame()
    >>> frame.loc[frame.contribution.idxmax(), "word"]
    'great'
    """
    check_parameters({"method": method}, {"method": one_of(*METHODS)}, always=True)
    if not isinstance(text, str):
        raise InvalidInputError(
            f"text is of type {type(text).__name__}, but a str is expected: explain "
            "one text at a time."
        )
    check_texts([text])
    number = find_class(estimator, text, label)
    model = open_model(estimator, number)
    words = word_spans(text)
    attribution = _attribute(model, text, words, method)
    return Explanation(
        text=text,
        spans=words,
        contributions=spread_over_words(attribution.spans, attribution.values, words),
        label=np.asarray(estimator.classes_)[number],
        probability=_probability(estimator, text, number),
        value=attribution.value,
        base_value=attribution.base,
        method=attribution.method,
    )


def _attribute(
    model: OpenedModel, text: str, words: list[Span], method: str
) -> Attribution:
    found = None
    if method in {"auto", "exact"}:
        found = attribute_counts(model, text)
    if found is None and method in {"auto", "exact", "gradients"}:
        found = attribute_vectors(model, text, method)
    if found is None and method in {"auto", "gradients"}:
        found = integrate_transformer(model, text)
    if found is None and method in {"auto", "occlusion"}:
        found = occlude(model, text, words)
    if found is None:
        raise InvalidParameterError(
            f"method={method!r} is not possible with this estimator and text: "
            "method='auto' takes one that is."
        )
    return found


def _probability(estimator: TextClassifier, text: str, number: int) -> float:
    if not hasattr(estimator, "predict_proba"):
        return float("nan")
    return float(estimator.predict_proba([text])[0][number])
