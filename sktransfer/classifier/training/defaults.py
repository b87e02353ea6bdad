"""What "auto" stands for: rates and lengths of training, from trials.

The trials were run with MiniLM and multilingual E5 on 32 to 500 texts, and with 50-wide
GloVe on 300; beyond that the table extrapolates. A head on narrow features learns at a
rate raised in proportion, up to five times: each of its weights has to grow more. With
50-wide features the usual rate stopped 6 points short of a logistic regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

__all__ = [
    "FROZEN",
    "LORA",
    "TUNED",
    "WORDS",
    "Defaults",
    "Settings",
    "defaults_for_pairs",
]


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

    def at_size(self, n_layers: int, width: int) -> Defaults:
        """Return the same with a rate for a transformer of another size.

        The deeper and the wider, the smaller the steps have to be. Of 12 layers of 384,
        which learn at half of the rate of 6, this was measured; beyond it extrapolates,
        to 2.5e-5 for BERT's base size, which is within what its authors advise.

        Parameters
        ----------
        n_layers : int
            Layers above the embeddings.
        width : int
            Length of a token's state.

        Returns
        -------
        defaults : Defaults
        """
        larger = max(1.0, n_layers / 6) * max(1.0, width / 384)
        rate = self.encoder_learning_rate / larger
        return replace(self, encoder_learning_rate=rate)


FROZEN = Defaults(0.0, 1e-3, min_steps=200, min_epochs=10, batch_size=32)
TUNED = Defaults(1e-4, 1e-3, min_steps=100, min_epochs=3, batch_size=16)
LORA = Defaults(1e-3, 1e-3, min_steps=100, min_epochs=3, batch_size=16)
WORDS = Defaults(5e-3, 1e-3, min_steps=200, min_epochs=10, batch_size=32)

# All pairs of a batch teach more in a step than its rows alone. With 8 tweets a class,
# half and twice this rate came out 4 points lower.
_FEW_PAIRS = Defaults(1e-4, 1e-3, min_steps=20, min_epochs=1, batch_size=32)
_PAIRS = Defaults(1e-4, 1e-3, min_steps=40, min_epochs=1, batch_size=32)
_FEW_WORD_PAIRS = Defaults(5e-3, 1e-3, min_steps=20, min_epochs=1, batch_size=32)
_WORD_PAIRS = Defaults(5e-3, 1e-3, min_steps=60, min_epochs=1, batch_size=32)
_MANY_A_CLASS = 32


def defaults_for_pairs(n_rows: int, n_classes: int, *, words: bool) -> Defaults:
    """Column of the table for strategy="contrastive", while it tunes the encoder.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_classes : int
        Classes that they belong to.
    words : bool
        Whether the encoder is a table of word vectors.

    Returns
    -------
    defaults : Defaults
    """
    if n_rows < _MANY_A_CLASS * n_classes:
        return _FEW_WORD_PAIRS if words else _FEW_PAIRS
    return _WORD_PAIRS if words else _PAIRS


# Rates of the head are those of features this wide, or wider.
_USUAL_WIDTH = 384
_MOST_FOR_NARROW = 5.0


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
        auto: Defaults,
        n_rows: int,
        width: int,
        *,
        n_stages: int = 0,
        encoder_learning_rate: float | str = "auto",
        head_learning_rate: float | str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        weight_decay: float | str = "auto",
    ) -> Settings:
        """Settings for `n_rows` rows of `width` features; what is no "auto" stays.

        Parameters
        ----------
        auto : Defaults
            Column of the table.
        n_rows : int
            Training rows, those for validation taken off.
        width : int
            Features that the head reads.
        n_stages : int, default=0
            Epochs in which layers still rest, as under "gradual"; `min_epochs` come
            after them, so that the layers that join last have their share.
        encoder_learning_rate, head_learning_rate, max_epochs, batch_size, weight_decay
            Parameters of the classifier.

        Returns
        -------
        settings : Settings

        Examples
        --------
        >>> from sktransfer.classifier.training.defaults import TUNED, Settings
        >>> Settings.resolve(TUNED, n_rows=300, width=384).max_epochs
        6
        """
        raised = min(max(1.0, _USUAL_WIDTH / width), _MOST_FOR_NARROW)
        size = auto.batch_size if batch_size == "auto" else int(batch_size)
        steps_an_epoch = math.ceil(n_rows / size)
        epochs = max(
            n_stages + auto.min_epochs, math.ceil(auto.min_steps / steps_an_epoch)
        )

        def number(value: float | str, automatic: float) -> float:
            return automatic if value == "auto" else float(value)

        return cls(
            number(encoder_learning_rate, auto.encoder_learning_rate),
            number(head_learning_rate, auto.head_learning_rate * raised),
            epochs if max_epochs == "auto" else int(max_epochs),
            size,
            number(weight_decay, 0.01),
        )
