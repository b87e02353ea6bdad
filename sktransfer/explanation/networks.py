"""Which part of an estimator is a network, and how gradients get at its words.

torch is imported only where a network is found: a pipeline of counts needs none.
"""

from __future__ import annotations

from typing import Any

from sktransfer.explanation.dissection import Anatomy, Attribution, margins
from sktransfer.explanation.linear_parts import (
    attribute_parts,
    featurizer_parts,
    probe_linear,
    table_parts,
)
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["attribute_vectors", "integrate_transformer"]

# What a body in float32 may differ by from the half precision or the integers that the
# estimator computes in, beside a margin of 1.
_CLOSE = 0.1


def attribute_vectors(anatomy: Anatomy, text: str, method: str) -> Attribution | None:
    """Contributions of words whose vectors are pooled by a sum or a mean.

    Parameters
    ----------
    anatomy : Anatomy
    text : str
    method : {"auto", "exact", "gradients"}
        What is allowed.

    Returns
    -------
    attribution : Attribution or None
        Exact where the decision on the pooled vectors is linear; None where the
        estimator is of another kind.
    """
    network, body = anatomy.network, anatomy.body
    first = anatomy.transformers[0] if anatomy.transformers else None
    if isinstance(first, WordVectorFeaturizer):
        found, decide = featurizer_parts(first, text), anatomy.decide_after(1)
    elif body is not None and body.is_table:
        from sktransfer.explanation.integrated_gradients import NetworkHead

        head, number = NetworkHead(network), anatomy.number
        found = table_parts(network._input, body, text)

        def decide(features: Any) -> Any:
            return margins(head, features, number)
    else:
        return None
    if found is None:
        return None
    spans, parts = found
    exact = None if method == "gradients" else attribute_parts(decide, spans, parts)
    # What stands between the vectors and a network has no gradient here.
    if exact is not None or method == "exact" or len(anatomy.transformers) > 1:
        return exact
    if network is None:
        return None
    from sktransfer.explanation.integrated_gradients import integrate_parts, torch_head

    return integrate_parts(torch_head(network, anatomy.number), spans, parts)


def integrate_transformer(anatomy: Anatomy, text: str) -> Attribution | None:
    """Contributions of the tokens that a transformer reads.

    Parameters
    ----------
    anatomy : Anatomy
    text : str

    Returns
    -------
    attribution : Attribution or None
        None where no transformer comes first, where the text is read in windows, or
        where neither a network nor a linear decision stands above.
    """
    body = anatomy.body
    first = anatomy.transformers[0] if anatomy.transformers else None
    if body is not None and not body.is_table:
        featurizer = anatomy.network.encoder_
    elif hasattr(first, "checkpoint_") and hasattr(first, "max_length_"):
        featurizer = first
    else:
        return None
    from sktransfer.explanation.integrated_gradients import with_gradients

    with with_gradients():
        found = _integrate(anatomy, text, featurizer)
    if found is None:
        return None
    expected = float(anatomy.margins([text])[0])
    close = abs(found.value - expected) <= _CLOSE * max(1.0, abs(expected))
    return found if close else None


def _integrate(anatomy: Anatomy, text: str, featurizer: Any) -> Attribution | None:
    from sktransfer.classifier.network.transformer import TransformerBody
    from sktransfer.explanation.integrated_gradients import (
        integrate_tokens,
        linear_head,
        read_tokens,
        torch_head,
    )

    tokens = read_tokens(featurizer, text)
    if tokens is None:
        return None
    if anatomy.network is not None and len(anatomy.transformers) <= 1:
        decide = torch_head(anatomy.network, anatomy.number)
    else:
        linear = probe_linear(anatomy.decide_after(1), featurizer.transform([text]))
        if linear is None:
            return None
        decide = linear_head(*linear)
    # What others compute with is not to have hooks put on it.
    if anatomy.body is not None:
        body = anatomy.body.twin()
    else:
        body = TransformerBody(
            featurizer.checkpoint_,
            pooling=featurizer.pooling_,
            layers=featurizer.layers,
            normalize=featurizer.normalize,
        )
        body.requires_grad_(False).eval()
    return integrate_tokens(body, decide, tokens)
