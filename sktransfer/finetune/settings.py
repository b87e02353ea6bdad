"""What "auto" stands for: rates and lengths of training, from trials.

The trials were run with MiniLM and multilingual E5 on 32 to 500 texts; beyond that the
table extrapolates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["AUTOMATIC", "Defaults", "Settings"]


@dataclass(frozen=True)
class Defaults:
    """One column of the table.

    Attributes
    ----------
    encoder_learning_rate, head_learning_rate : float
        Peak rates of AdamW.
    min_steps, min_epochs : int
        Training lasts for the longer of the two.
    batch_size : int
        Rows a step.
    """

    encoder_learning_rate: float
    head_learning_rate: float
    min_steps: int
    min_epochs: int
    batch_size: int


_FROZEN = Defaults(0.0, 1e-3, min_steps=200, min_epochs=10, batch_size=32)
_TUNED = Defaults(1e-4, 1e-3, min_steps=100, min_epochs=3, batch_size=16)

AUTOMATIC: dict[str, Defaults] = {
    "feature_extraction": _FROZEN,
    "partial": _TUNED,
    "fine_tune": _TUNED,
}


@dataclass(frozen=True)
class Settings:
    """The numbers that one training uses, "auto" resolved.

    Attributes
    ----------
    encoder_learning_rate, head_learning_rate : float
        Peak rates.
    max_epochs : int
        Passes over the training rows.
    batch_size : int
        Rows a step.
    weight_decay : float
        Decoupled weight decay of AdamW, not on biases and norms.
    """

    encoder_learning_rate: float
    head_learning_rate: float
    max_epochs: int
    batch_size: int
    weight_decay: float

    @classmethod
    def resolve(
        cls,
        strategy: str,
        n_rows: int,
        *,
        encoder_learning_rate: float | str = "auto",
        head_learning_rate: float | str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        weight_decay: float | str = "auto",
    ) -> Settings:
        """Settings of a strategy for `n_rows` rows; what is no "auto" stays.

        Parameters
        ----------
        strategy : str
            A key of `AUTOMATIC`.
        n_rows : int
            Training rows, those for validation taken off.
        encoder_learning_rate, head_learning_rate, max_epochs, batch_size, weight_decay
            Parameters of the classifier.

        Returns
        -------
        settings : Settings

        Examples
        --------
        >>> from sktransfer.finetune.settings import Settings
        >>> Settings.resolve("fine_tune", 300).max_epochs
        6
        """
        auto = AUTOMATIC[strategy]
        size = auto.batch_size if batch_size == "auto" else int(batch_size)
        steps_an_epoch = math.ceil(n_rows / size)
        epochs = max(auto.min_epochs, math.ceil(auto.min_steps / steps_an_epoch))

        def number(value: float | str, automatic: float) -> float:
            return automatic if value == "auto" else float(value)

        return cls(
            number(encoder_learning_rate, auto.encoder_learning_rate),
            number(head_learning_rate, auto.head_learning_rate),
            epochs if max_epochs == "auto" else int(max_epochs),
            size,
            number(weight_decay, 0.01),
        )
