"""Word vectors as a layer that learns: a table and its pooling."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.finetune.body import Body

__all__ = ["PADDING", "EmbeddingBody"]

PADDING = 0


class EmbeddingBody(Body):
    """A table of word vectors that learns, pooled as the featurizer pools.

    Letters: v rows of the table, d numbers a word vector, n texts, t words, m words
    that came after training.

    Parameters
    ----------
    table : ndarray of shape (v, d)
        Row 0 is padding, row 1 stands for unknown words.
    pooling : tuple of {"mean", "sum", "max", "min"}
        Parts of a text's vector.
    divide_by_weights : bool
        Whether a mean is divided by the sum of the words' weights (idf) or by their
        number.
    normalize : bool
        Whether vectors are scaled to length 1.
    components : ndarray of shape (c, w) or None
        Common components that are taken out.
    """

    components: torch.Tensor | None
    is_table = True

    def __init__(
        self,
        table: npt.NDArray[np.float32],
        *,
        pooling: tuple[str, ...],
        divide_by_weights: bool = False,
        normalize: bool = False,
        components: npt.NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(
            torch.from_numpy(table), freeze=False, padding_idx=PADDING
        )
        self.pooling = pooling
        self.divide_by_weights = divide_by_weights
        self.normalize = normalize
        self.register_buffer(
            "components", None if components is None else torch.tensor(components)
        )
        self.tuned = set()

    def forward(
        self,
        word_ids: torch.Tensor,
        word_weights: torch.Tensor | None = None,
        new_vectors: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (n, w) of word ids.

        Parameters
        ----------
        word_ids : torch.Tensor of shape (n, t)
            Rows of the table, filled up with 0; ids from v on are rows of
            `new_vectors`.
        word_weights : torch.Tensor of shape (n, t) or None
            What each word's vector is multiplied by; None is 1.
        new_vectors : torch.Tensor of shape (m, d) or None
            Vectors of words that were in no training text.

        Returns
        -------
        features : torch.Tensor of shape (n, w)
        """
        n_rows = self.table.num_embeddings
        present = (word_ids != PADDING)[..., None]
        vectors = self.table(word_ids.clamp(max=n_rows - 1))
        if new_vectors is not None:
            new = (word_ids >= n_rows)[..., None]
            vectors = torch.where(
                new, new_vectors[(word_ids - n_rows).clamp(min=0)], vectors
            )
        weights = present.float()
        if word_weights is not None:
            weights = weights * word_weights[..., None]
        weighted = vectors * weights
        divisor = (weights if self.divide_by_weights else present.float()).sum(1)
        parts = []
        for how in self.pooling:
            if how in ("mean", "sum"):
                part = weighted.sum(1)
                if how == "mean":
                    part = part / torch.where(divisor > 0, divisor, 1.0)
            else:
                lowest = -torch.inf if how == "max" else torch.inf
                masked = weighted.masked_fill(~present, lowest)
                part = masked.amax(1) if how == "max" else masked.amin(1)
                part = torch.where(present.any(1), part, 0.0)
            parts.append(part)
        features = torch.cat(parts, dim=1)
        if self.components is not None:
            features = features - features @ self.components.T @ self.components
        if self.normalize:
            features = nn.functional.normalize(features, dim=-1)
        return features

    def pretrained(self) -> EmbeddingBody:
        """Return a copy: what the table was before it learnt is not kept."""
        return copy.deepcopy(self)

    def blocks(self) -> list[nn.Module]:
        """Return no layers: there are none above the table."""
        return []

    def token_table(self) -> nn.Parameter:
        """Word vectors, of shape (v, d)."""
        table: nn.Parameter = self.table.weight
        return table

    def __getstate__(self) -> dict[str, Any]:
        components = self.components
        return {
            "table": self.table.weight.detach().cpu().numpy(),
            "pooling": self.pooling,
            "divide_by_weights": self.divide_by_weights,
            "normalize": self.normalize,
            "components": None if components is None else components.cpu().numpy(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["table"] = np.array(state["table"])
        EmbeddingBody.__init__(self, **state)
        self.tuned = {"table.weight"}
        self.requires_grad_(False)
