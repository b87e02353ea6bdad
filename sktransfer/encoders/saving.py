"""How encoders go into a folder: by the name and digest of their weights."""

from __future__ import annotations

import dataclasses
from typing import Any

from sktransfer.bundles.kinds import Kind
from sktransfer.encoders.checkpoints import Checkpoint, find_checkpoint
from sktransfer.encoders.devices import available_device
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.exceptions import CheckpointError, ModelFolderError

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
        fitted = {
            "weights": featurizer.checkpoint_.digest,
            "vectors": featurizer.encoder_digest_,
        }
    output = getattr(featurizer, "_sklearn_output_config", {})
    return {"parameters": parameters, "fitted": fitted, "output": dict(output)}


def _put_together(fields: dict[str, Any]) -> BertFeaturizer:
    if fields["parameters"]["cache"] not in (None, "memory"):
        raise ModelFolderError("it asks for a cache in a folder of its own choice.")
    device = available_device(fields["parameters"]["device"])
    featurizer = BertFeaturizer(**fields["parameters"] | {"device": device})
    if output := fields.get("output"):
        featurizer.set_output(**output)
    if fields["fitted"] is None:
        return featurizer
    featurizer.fit([""])
    _require(featurizer.checkpoint_, fields["fitted"]["weights"])
    if featurizer.encoder_digest_ != fields["fitted"]["vectors"]:
        raise ModelFolderError(
            "its featurizer gives other vectors than the one that was saved: it was "
            "written by another version of sktransfer. Fit and save it again."
        )
    return featurizer


def _take_checkpoint_apart(checkpoint: Checkpoint) -> dict[str, Any]:
    found = dataclasses.asdict(checkpoint)
    return {name: found.get(name) for name in ("name", "revision", "digest")}


def _put_checkpoint_together(fields: dict[str, Any]) -> Checkpoint:
    found = find_checkpoint(fields["name"], revision=fields["revision"])
    _require(found, fields["digest"])
    return found


def _require(found: Checkpoint, digest: str) -> None:
    if found.digest != digest:
        raise CheckpointError(
            f"the weights {found.name!r} in {found.folder} are not those that this "
            f"model was fitted with (digest {found.digest[:12]}, expected "
            f"{digest[:12]}): restore them, or fit again."
        )


KINDS = {
    "BertFeaturizer": Kind(_take_apart, _put_together),
    "Checkpoint": Kind(_take_checkpoint_apart, _put_checkpoint_together),
}
