"""Which part of an estimator is a network, and how gradients get at its words.

torch is imported only where a network is found: a pipeline of counts needs none.
"""

from __future__ import annotations

from typing import Any

from sktransfer.explanation.linear_parts import (
    attribute_parts,
    featurizer_parts,
    probe_linear,
    table_parts,
)
from sktransfer.explanation.opened_model import Attribution, OpenedModel, margins
from sktransfer.words.featurizer import WordVectorFeaturizer

__all__ = ["attribute_vectors", "integrate_transformer"]

# What a body in float32 may differ by from the half precision or the integers that the
# estimator computes in, beside a margin of 1.
_CLOSE = 0.1


def attribute_vectors(model: OpenedModel, text: str, method: str) -> Attribution | None:
    """Contributions of words whose vectors are pooled by a sum or a mean.

    They are exact where the decision on the pooled vectors is linear and "auto" or
    "exact" is asked for. For another kind of estimator there are none.
    """
    network, body = model.network, model.body
    first = model.transformers[0] if model.transformers else None
    if isinstance(first, WordVectorFeaturizer):
        found, decide = featurizer_parts(first, text), model.decide_after(1)
    elif network is not None and body is not None and body.is_table:
        from sktransfer.explanation.integrated_gradients import NetworkHead

        head, number = NetworkHead(network), model.number
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
    if exact is not None or method == "exact" or len(model.transformers) > 1:
        return exact
    if network is None:
        return None
    from sktransfer.explanation.integrated_gradients import integrate_parts, torch_head

    return integrate_parts(torch_head(network, model.number), spans, parts)


def integrate_transformer(model: OpenedModel, text: str) -> Attribution | None:
    """Contributions of the tokens that a transformer reads.

    None where no transformer comes first, where the text is read in windows, or where
    neither a network nor a linear decision stands above.
    """
    network, body = model.network, model.body
    first = model.transformers[0] if model.transformers else None
    if network is not None and body is not None and not body.is_table:
        featurizer = network.encoder_
    elif hasattr(first, "checkpoint_") and hasattr(first, "max_length_"):
        featurizer = first
    else:
        return None
    from sktransfer.explanation.integrated_gradients import with_gradients

    with with_gradients():
        found = _integrate(model, text, featurizer)
    if found is None:
        return None
    expected = float(model.margins([text])[0])
    close = abs(found.value - expected) <= _CLOSE * max(1.0, abs(expected))
    return found if close else None


def _integrate(model: OpenedModel, text: str, featurizer: Any) -> Attribution | None:
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
    if model.network is not None and len(model.transformers) <= 1:
        decide = torch_head(model.network, model.number)
    else:
        linear = probe_linear(model.decide_after(1), featurizer.transform([text]))
        if linear is None:
            return None
        decide = linear_head(*linear)
    # What others compute with is not to have hooks put on it.
    body: Any
    if model.body is not None:
        body = model.body.twin()
    else:
        body = TransformerBody(
            featurizer.checkpoint_,
            pooling=featurizer.pooling_,
            layers=featurizer.layers,
            normalize=featurizer.normalize,
        )
        body.requires_grad_(False).eval()
    return integrate_tokens(body, decide, tokens)
