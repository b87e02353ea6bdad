"""A transformer as layers that can learn.

It begins as a copy of what the featurizer uses and gives the same vectors; only the
copy ever changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sktransfer.classifier.cpu.attention import use_quick_attention
from sktransfer.classifier.cpu.batch_halves import (
    MIN_ROWS,
    encode_batch,
    learn_packed,
    learns_packed,
)
from sktransfer.classifier.cpu.dropout import replace_dropout
from sktransfer.classifier.cpu.half_precision import replace_linear
from sktransfer.classifier.cpu.packed_batch import PackedLayers, find_layers
from sktransfer.classifier.cpu.skipping import replacing_input, skipping
from sktransfer.classifier.cpu.switch import tricks_on
from sktransfer.classifier.network.adapters import (
    Adaptation,
    add_adapters,
    choose_layers,
    is_adapter,
    merge,
    plain_name,
    remove_adapters,
    unmerge,
)
from sktransfer.classifier.network.body import Body
from sktransfer.classifier.network.packed_form import PackedForm, has_hooks
from sktransfer.encoders.checkpoints.checkpoint import (
    Checkpoint,
    find_checkpoint,
    read_architecture,
)
from sktransfer.encoders.checkpoints.weights import TokenTable
from sktransfer.encoders.compute.loop import (
    choose_batch_tokens,
    encode_rows,
    pool,
    token_states,
)
from sktransfer.encoders.loaded_models import copy_module
from sktransfer.encoders.parameters import resolve_layers
from sktransfer.encoders.tokens import TokenRows
from sktransfer.exceptions import CheckpointError

__all__ = ["TransformerBody"]


class TransformerBody(Body):
    """A trainable copy of a checkpoint, with the featurizer's layers and pooling.

    An `adaptation` names adapters that `take_tuned` is to find, as another body's
    attribute has them.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        pooling: tuple[str, ...],
        layers: int | tuple[int, ...] | str = -1,
        normalize: bool = False,
        adaptation: Adaptation | None = None,
    ) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.pooling = pooling
        self.layers = resolve_layers(layers, checkpoint)
        self.normalize = normalize
        self.transformer: Any = copy_module(checkpoint)
        # They learn in less time and memory; names of parameters stay as they are.
        replace_dropout(self.transformer)
        replace_linear(self.transformer)
        use_quick_attention(self.transformer)
        self.tuned = set()
        # What a layer gives beside its states, in a tuple; most give no tuple.
        self.n_extra: int | None = None
        self.adaptation = adaptation
        # Weights without what merged adapters add to them.
        self._bases: dict[str, torch.Tensor] = {}
        self._packed_form = PackedForm(read_architecture(checkpoint.folder))
        # Layers that learn without padding, or None, once that has been asked.
        self._found: tuple[PackedLayers | None] | None = None
        if adaptation is not None:
            add_adapters(self.transformer, adaptation, drawn=False)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        states: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (n, w) of tokens (n, t), with a mask that is 0 at padding.

        `states` (n, t, h) are what the resting layers give, if it is known; they are
        passed over then.
        """
        tokens = {"input_ids": input_ids, "attention_mask": attention_mask}
        if len(input_ids) >= MIN_ROWS and learns_packed() and tricks_on():
            layers = self._packed_layers()
            if layers is not None:
                return self._learn_packed(layers, tokens, states)
        if states is None or not tricks_on():
            return encode_batch(self._features, tokens)
        blocks, n_layers = self.blocks(), self.n_resting()

        def resume(states: torch.Tensor, **tokens: torch.Tensor) -> torch.Tensor:
            replacement.states = states
            return self._features(**tokens)

        with (
            skipping(blocks[:n_layers], n_extra=self.n_extra),
            replacing_input(blocks[n_layers]) as replacement,
        ):
            return encode_batch(resume, tokens | {"states": states})

    def _features(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        states = token_states(self.transformer, input_ids, attention_mask, self.layers)
        return self._pool(states, attention_mask)

    def _pool(self, states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        features = pool(states.float(), attention_mask, self.pooling)
        if self.normalize:
            features = nn.functional.normalize(features, dim=-1)
        return features

    def _packed_layers(self) -> PackedLayers | None:
        """What learns without padding, where that can be."""
        if not self.learns() or self.adaptation is not None or has_hooks(self):
            return None
        if self._found is None:
            layers, weights = None, self._packed_form.weights(self.transformer)
            if weights is not None:
                blocks, pad_id = self._all_blocks(), weights.pad_id
                layers = find_layers(self.transformer, blocks, pad_id=pad_id)
            self._found = (layers,)
        (layers,) = self._found
        return layers if layers is not None and not layers.are_watched() else None

    def _learn_packed(
        self,
        layers: PackedLayers,
        tokens: dict[str, torch.Tensor],
        states: torch.Tensor | None,
    ) -> torch.Tensor:
        half_precision = torch.is_autocast_enabled("cpu")
        batch = layers.begin(
            tokens if states is None else tokens | {"states": states},
            tuple(self.checkpoint.n_layers + 1 + layer for layer in self.layers),
            self._pool,
            torch.get_autocast_dtype("cpu") if half_precision else torch.float32,
            n_passed=0 if states is None else self.n_resting(),
        )
        return learn_packed(batch)

    def encode(
        self, rows: TokenRows, dtype: torch.dtype
    ) -> npt.NDArray[np.float32] | None:
        """Features (n, w) of rows of tokens without padding, with `dtype` in products.

        None where that is not to be had: on other devices, in architectures that are no
        relatives of BERT, and where adapters stand beside the weights or hooks wait to
        be called.
        """
        on_cpu = self.token_table().device.type == "cpu"
        beside = self.adaptation is not None and not self._bases
        if not on_cpu or beside or not tricks_on() or has_hooks(self):
            return None
        encoder = self._packed_form.encoder(self.transformer, dtype)
        if encoder is None:
            return None
        features = encode_rows(
            encoder,
            rows,
            layers=(self.layers,),
            pooling=self.pooling,
            batch_tokens=choose_batch_tokens(encoder.device, encoder.width),
        )
        if self.normalize:
            found = torch.from_numpy(features)
            features = nn.functional.normalize(found, dim=-1).numpy()
        return features

    def train(self, mode: bool = True) -> Self:
        """Set training mode; what learns is not kept in another form."""
        if mode and self.learns():
            self._packed_form.drop()
        return super().train(mode)

    def twin(self) -> Self:
        """Return another body with these very parameters, in evaluation mode."""
        twin = super().twin()
        # What this one lets go of, the other would keep.
        twin._packed_form = PackedForm(self._packed_form.architecture)
        twin._found = None
        return twin

    def pretrained(self) -> TransformerBody:
        """Return another body, as this one was before it learnt."""
        return TransformerBody(
            self.checkpoint,
            pooling=self.pooling,
            layers=self.layers,
            normalize=self.normalize,
        )

    def blocks(self) -> list[nn.Module]:
        """Transformer layers from the bottom to the highest one that is read."""
        return self._all_blocks()[: self._n_read()]

    def idle(self) -> list[nn.Parameter]:
        """Parameters of the layers above the highest one that is read."""
        if self._n_read() == self.checkpoint.n_layers:
            return []
        above = self._all_blocks()[self._n_read() :]
        return [parameter for block in above for parameter in block.parameters()]

    def n_resting(self) -> int:
        """Layers at the bottom whose states are the same in every epoch.

        There are none where something below the lowest learning layer learns. Layers
        whose own states are read do not count.
        """
        blocks = self.blocks()
        rests = [not any(p.requires_grad for p in b.parameters()) for b in blocks]
        n_layers = rests.index(False) if False in rests else 0
        above = {id(p) for block in blocks[n_layers:] for p in block.parameters()}
        others = (p for p in self.parameters() if id(p) not in above)
        lowest_read = self.checkpoint.n_layers + 1 + min(self.layers)
        if any(p.requires_grad for p in others):
            return 0
        return max(0, min(n_layers, lowest_read - 1))

    def _n_read(self) -> int:
        return self.checkpoint.n_layers + 1 + max(self.layers)

    def _all_blocks(self) -> list[nn.Module]:
        n_layers = self.checkpoint.n_layers
        for module in self.transformer.modules():
            if isinstance(module, nn.ModuleList) and len(module) == n_layers:
                return list(module)
        # One set of weights for all layers, as in ALBERT: there is nothing to choose.
        return []

    def adapt(self, rank: int) -> None:
        """Put adapters of `rank` beside the linear layers, or take up those there are.

        Adapters of another rank become part of the weights.
        """
        if self.adaptation is not None and self.adaptation["rank"] == rank:
            self._unmerge()
            return
        self.fold()
        self._found = None
        blocks = self.blocks() or [self.transformer]
        adaptation = choose_layers(self.transformer, blocks, rank)
        add_adapters(self.transformer, adaptation)
        self.adaptation = adaptation

    def adapters(self) -> list[nn.Parameter]:
        """Parameters of the adapters."""
        return [p for name, p in self.named_parameters() if is_adapter(name)]

    def merge(self) -> None:
        """Make adapters part of the weights until they learn on."""
        self._packed_form.drop()  # Whoever has changed the weights ends here.
        if self.adaptation is not None and not self._bases:
            self._bases = merge(self.transformer)

    def fold(self) -> None:
        """Make adapters part of the weights for good."""
        if self.adaptation is None:
            return
        self.merge()
        self.tuned = set(self.merged_tensors())
        remove_adapters(self.transformer)
        self.adaptation, self._bases, self._found = None, {}, None

    def _unmerge(self) -> None:
        self._packed_form.drop()
        if self._bases:
            unmerge(self.transformer, self._bases)
            self._bases = {}

    def tuned_tensors(self) -> dict[str, torch.Tensor]:
        """Parameters in which the body may differ from its checkpoint, by name.

        Of adapters these are their own, and the weights beside them only if they had
        been tuned before.
        """
        return {
            name: self._bases.get(name.removeprefix("transformer."), parameter.data)
            for name, parameter in self._plain_parameters()
            if name in self.tuned
        }

    def merged_tensors(self) -> dict[str, torch.Tensor]:
        """`tuned_tensors` for a body without adapters that is to give the same."""
        targets = self.adaptation["targets"] if self.adaptation else []
        tuned = {f"transformer.{name}.weight" for name in targets} | self.tuned
        self.merge()
        return {
            name: parameter.data
            for name, parameter in self._plain_parameters()
            if name in tuned and not is_adapter(name)
        }

    def take_tuned(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what another body of the same checkpoint has learnt."""
        self._unmerge()
        own = dict(self._plain_parameters())
        self._own_table({id(own[name]) for name in tensors})
        for name, tensor in tensors.items():
            own[name].data.copy_(tensor)
        self.tuned.update(tensors)
        self.merge()

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Tensors by name, as torch has it; adapters are never part of the weights."""
        found = super().state_dict(*args, **kwargs)
        prefix = f"{kwargs.get('prefix', '')}transformer."
        for name, tensor in self._bases.items():
            layer = name.removesuffix(".weight")
            found[f"{prefix}{layer}.base_layer.weight"] = tensor
        return found

    def take_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over tensors of a ``state_dict``; what differs counts as learnt."""
        merged = bool(self._bases)
        self._unmerge()
        super().take_state(tensors)
        if merged:
            self.merge()

    def may_change(self, names: Iterable[str]) -> None:
        """Count these parameters among those that a pickle holds."""
        changing = set(names)
        own = dict(self.named_parameters())
        self._own_table({id(own[name]) for name in changing})
        super().may_change(map(plain_name, changing))

    def _plain_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for name, parameter in self.named_parameters():
            yield plain_name(name), parameter

    def let_learn(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make these parameters learn and all the others rest."""
        chosen = list(parameters)
        self._own_table({id(parameter) for parameter in chosen})
        super().let_learn(chosen)

    def _own_table(self, changing: set[int]) -> None:
        table = self.transformer.get_input_embeddings()
        if isinstance(table, TokenTable) and id(table.weight) in changing:
            table.own()  # It is shared no longer.

    def token_table(self) -> nn.Parameter:
        """Token embeddings, of shape (vocabulary, hidden size)."""
        table: nn.Parameter = self.transformer.get_input_embeddings().weight
        return table

    def __getstate__(self) -> dict[str, Any]:
        return {
            "checkpoint": self.checkpoint,
            "pooling": self.pooling,
            "layers": self.layers,
            "normalize": self.normalize,
            "adaptation": self.adaptation,
            "tuned": {
                name: tensor.cpu().numpy()
                for name, tensor in self.tuned_tensors().items()
            },
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        tuned = state.pop("tuned")
        _require_unchanged(state["checkpoint"])
        TransformerBody.__init__(self, **state)
        self.take_tuned(
            {name: torch.from_numpy(np.array(a)) for name, a in tuned.items()}
        )
        self.requires_grad_(False)


def _require_unchanged(checkpoint: Checkpoint) -> None:
    """Raise unless the weights on disk are those that a model was tuned from."""
    found = find_checkpoint(checkpoint.name, revision=checkpoint.revision)
    if found.digest != checkpoint.digest:
        raise CheckpointError(
            f"the weights {checkpoint.name!r} in {found.folder} are not those that "
            f"this model was tuned from (digest {found.digest[:12]}, expected "
            f"{checkpoint.digest[:12]}): restore them, or fit again."
        )
