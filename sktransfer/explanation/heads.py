"""The part of a network that decides on features, for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sktransfer.finetune.batches import FeatureRows

__all__ = ["NetworkHead", "linear_head", "torch_head"]


class NetworkHead:
    """What stands above the encoder of a TransferSentimentClassifier.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Fitted.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.classes_ = model.classes_

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Logits of features (n, w), as the model's own ``decision_function``."""
        rows = FeatureRows(np.asarray(X, dtype=np.float32))
        logits = np.asarray(self.model.net_.predict_logits(rows), dtype=np.float64)
        return logits[:, 0] if len(self.classes_) == 2 else logits


def torch_head(model: Any, number: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Features (b, w) -> margins (b,) of a class, through which gradients flow.

    Parameters
    ----------
    model : TransferSentimentClassifier
        Fitted.
    number : int
        Place of the class in ``classes_``.

    Returns
    -------
    decide : callable
    """
    logits_of = model.net_.module_.decision()

    def decide(features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = logits_of(features)
        if len(model.classes_) == 2:
            return logits[:, 0] if number == 1 else -logits[:, 0]
        return logits[:, number]

    return decide


def linear_head(
    coefficients: NDArray[np.float64], base: float
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Features (b, w) -> margins (b,), by coefficients (w,) and an intercept.

    Parameters
    ----------
    coefficients : ndarray of shape (w,)
    base : float

    Returns
    -------
    decide : callable
    """
    weight = torch.tensor(coefficients, dtype=torch.float32)

    def decide(features: torch.Tensor) -> torch.Tensor:
        return features @ weight.to(features.device) + base

    return decide
