"""How encoders go into a folder: by the name and digest of their weights.

A folder may be a stranger's, so weights that it names are safetensors of this machine:
a pickle is opened neither with the folder nor by a later fit, and nothing is fetched.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sktransfer.bundles.kinds import Kind
from sktransfer.encoders.checkpoints.checkpoint import (
    Checkpoint,
    find_checkpoint,
    find_pickle,
)
from sktransfer.encoders.compute.devices import available_device
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.parameters import RULES
from sktransfer.exceptions import (
    CheckpointError,
    CheckpointNotFoundError,
    ModelFolderError,
)
from sktransfer.validation import check_parameters

__all__ = ["KINDS"]


def _take_apart(featurizer: BertFeaturizer) -> dict[str, Any]:
    parameters = featurizer.get_params(deep=False)
    # A folder of this machine is of no use on another, and a model that comes from
    # elsewhere must not decide where this machine writes.
    if parameters["cache"] is not None:
        parameters["cache"] = "memory"
    fitted = None
    if hasattr(featurizer, "encoder_digest_"):
        featurizer._prepare([""])  # raises where a parameter was set after the fit
        _refuse_pickle(featurizer.checkpoint_)
        fitted = {
            "weights": featurizer.checkpoint_.digest,
            "vectors": featurizer.encoder_digest_,
        }
    output = getattr(featurizer, "_sklearn_output_config", {})
    return {"parameters": parameters, "fitted": fitted, "output": dict(output)}


def _put_together(fields: dict[str, Any]) -> BertFeaturizer:
    if fields["parameters"]["cache"] not in (None, "memory"):
        raise ModelFolderError("it asks for a cache in a folder of its own choice.")
    # A folder that comes from elsewhere is proved whatever scikit-learn's settings say.
    check_parameters(fields["parameters"], RULES, always=True)
    device = available_device(fields["parameters"]["device"])
    featurizer = BertFeaturizer(**fields["parameters"] | {"device": device})
    if output := fields.get("output"):
        featurizer.set_output(**output)
    if fields["fitted"] is None:
        _find_here(featurizer.model, featurizer.revision)
        return featurizer
    _find_here(featurizer.model, featurizer.revision)
    featurizer.fit([""])
    _refuse_pickle(featurizer.checkpoint_)
    _require(featurizer.checkpoint_, fields["fitted"]["weights"])
    if featurizer.encoder_digest_ != fields["fitted"]["vectors"]:
        raise ModelFolderError(
            "its featurizer gives other vectors than the one that was saved: it was "
            "written by another version of sktransfer. Fit and save it again."
        )
    return featurizer


def _take_checkpoint_apart(checkpoint: Checkpoint) -> dict[str, Any]:
    _refuse_pickle(checkpoint)
    found = dataclasses.asdict(checkpoint)
    return {name: found.get(name) for name in ("name", "revision", "digest")}


def _put_checkpoint_together(fields: dict[str, Any]) -> Checkpoint:
    found = _find_here(fields["name"], fields["revision"])
    _require(found, fields["digest"])
    return found


def _find_here(name: Any, revision: str | None) -> Checkpoint:
    """Weights of this machine: what a folder names is not fetched from the hub."""
    try:
        found = find_checkpoint(name, revision=revision, local_files_only=True)
    except CheckpointNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{error} A saved model has nothing downloaded: if you trust the name, "
            f"fetch the weights with BertFeaturizer({name!r}).fit(['']), and load the "
            "model again."
        ) from error
    _refuse_pickle(found)
    return found


def _refuse_pickle(found: Checkpoint) -> None:
    name = find_pickle(found.folder)
    if name is not None:
        raise ModelFolderError(
            f"the weights {found.name!r} are a pickle ({found.folder / name}), and "
            "nothing that a saved model names is opened as one: write them as "
            "safetensors with save_pretrained of transformers, their tokenizer beside "
            "them, and fit on that folder."
        )


def _require(found: Checkpoint, digest: str) -> None:
    if found.digest != digest:
        raise CheckpointError(
            f"the weights {found.name!r} in {found.folder} are not those that this "
            f"model was fitted with (digest {found.digest[:12]}, expected "
            f"{digest[:12]}): restore them, or fit again."
        )


KINDS = {
    BertFeaturizer: Kind(_take_apart, _put_together),
    Checkpoint: Kind(_take_checkpoint_apart, _put_checkpoint_together),
}
