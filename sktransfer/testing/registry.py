"""The checks by group, in the order in which they run, and to whom each applies."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

from sktransfer.testing.subject import Check, Subject

__all__ = ["GROUPS", "applying", "checks_of", "list_checks"]

# What leaves a trace in the process comes before what would hide it.
GROUPS: dict[str, str] = {
    "Construction": "construction",
    "Fit": "fit_contract",
    "Containers": "containers",
    "Single texts": "row_by_row",
    "Bad texts": "bad_texts",
    "Features": "features",
    "Labels": "label_kinds",
    "Scores of classes": "class_scores",
    "Weights, routing and parts": "sample_weights",
    "Copies": "copying",
    "Threads and processes": "parallel",
}


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"sktransfer.testing.checks.{name}")


def checks_of(group: str) -> list[Check]:
    """Checks of a group, as they stand in its file."""
    module = _module(GROUPS[group])
    return [
        value
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    ]


def list_checks() -> Iterator[tuple[str, Check]]:
    """All checks, each with its group."""
    for group in GROUPS:
        for check in checks_of(group):
            yield group, check


def applying(subject: Subject) -> Iterator[Check]:
    """Checks that are meant for a subject."""
    for _, check in list_checks():
        if all(getattr(subject, need) for need in getattr(check, "needs", ())):
            yield check
