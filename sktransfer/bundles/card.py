"""The model card: what people should know of a saved model, as Markdown."""

from __future__ import annotations

import datetime as dt
import functools
import importlib.metadata
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["installed_versions", "write_card"]

_PACKAGES = ("sktransfer", "scikit-learn", "torch", "transformers", "skorch", "gensim")

_USE = """```python
from sktransfer import load

model = load("path/to/this/folder")
```"""


def write_card(
    estimator: Any, scores: Mapping[str, float], description: str | None = None
) -> str:
    """Card of a fitted estimator, in Markdown.

    `scores` are what was measured, by name; `description` says what the model is for.
    """
    kind = "text-classification" if hasattr(estimator, "classes_") else "embeddings"
    sections = [
        f"---\nlibrary_name: sktransfer\ntags:\n- {kind}\n---",
        f"# {type(estimator).__name__}",
        description or "A model saved by sktransfer.",
        _USE,
    ]
    facts = dict(_facts(estimator))
    if facts:
        sections.append("## Training data and size\n\n" + _table("what", facts))
    if scores:
        rounded = {name: f"{value:.4f}" for name, value in scores.items()}
        sections.append("## Scores\n\n" + _table("score", rounded))
    for part in _parts(estimator):
        parameters = {f"`{k}`": f"`{v!r:.60}`" for k, v in _changed(part).items()}
        if parameters:
            title = f"## Parameters of {type(part).__name__}"
            note = "Those that are not the default."
            sections.append(f"{title}\n\n{note}\n\n{_table('parameter', parameters)}")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    versions = {"saved on": today, **installed_versions()}
    sections.append("## Versions\n\n" + _table("package", versions))
    return "\n\n".join(sections) + "\n"


@functools.cache
def installed_versions() -> Mapping[str, str]:
    """Versions of what a saved model depends on, as far as it is installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return types.MappingProxyType(found)


def _facts(estimator: Any) -> Iterator[tuple[str, str]]:
    if hasattr(estimator, "classes_"):
        classes = [str(label) for label in estimator.classes_]
        shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        yield "classes", f"{len(classes)}: {shown}"
    for part in _parts(estimator):
        counts = getattr(part, "class_count_", None)
        if counts is not None:
            yield "training rows", f"{int(counts.sum())}"
            yield "rows of each class", ", ".join(str(int(n)) for n in counts[:10])
        if hasattr(part, "n_trainable_parameters_"):
            yield "parameters", f"{part.n_parameters_:,}"
            yield "of these learnt", f"{part.n_trainable_parameters_:,}"
        if getattr(part, "history_", None):
            yield "epochs", str(len(part.history_))
            losses = [row.get("valid_loss") for row in part.history_]
            if None not in losses:
                yield "lowest loss on validation rows", f"{min(losses):.4f}"
        if hasattr(part, "checkpoint_"):
            yield "weights", f"{part.checkpoint_.name} ({part.checkpoint_.digest[:12]})"
        if hasattr(part, "vectors_"):
            yield "word vectors", f"{len(part.vectors_)}, {part.vectors_.width} wide"


def _parts(estimator: Any) -> list[Any]:
    """The estimator, and those that it consists of."""
    parts, queue = [], [estimator]
    while queue:
        part = queue.pop(0)
        parts.append(part)
        steps = [step for _, step in getattr(part, "steps", [])]
        inner = [getattr(part, name, None) for name in ("encoder_", "estimator_")]
        queue += [p for p in steps + inner if isinstance(p, BaseEstimator)]
    return parts


def _changed(part: Any) -> dict[str, Any]:
    """Parameters that differ from what the constructor has."""
    defaults = inspect.signature(type(part)).parameters
    return {
        name: value
        for name, value in part.get_params(deep=False).items()
        if name != "steps" and repr(value) != repr(defaults[name].default)
    }


def _table(first: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {first} | |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
