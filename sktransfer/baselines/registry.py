"""The baselines by name: a new one is a file of this folder, and its name here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sktransfer.packages import require_extra

__all__ = [
    "EVERY_LANGUAGE",
    "GUESSING",
    "NAMES",
    "REFERENCE",
    "Baseline",
    "find_baseline",
]

# In the order of the rows. Each is a file here that defines BASELINE, and is imported
# when it is asked for, as the help of the command line needs nothing but the names.
NAMES = (
    "majority",
    "tfidf",
    "nbsvm",
    "vader",
    "snownlp",
)
# Rows of every comparison that does not say otherwise: what guessing achieves, and what
# differences are measured from.
GUESSING, REFERENCE = "majority", "tfidf"

EVERY_LANGUAGE = ("en", "zh", "mixed")


@dataclass(frozen=True)
class Baseline:
    """A way to classify texts without transfer, which `compare_strategies` names.

    Attributes
    ----------
    name : str
        That of the file that defines it.
    make : callable
        From texts, whose labels it does not see, to an estimator that is not fitted.
    languages : tuple of str
        Answers of `language_of` for which it is among the default rows; by its name it
        runs on all texts.
    package : str or None, default=None
        Package of the extra ``baselines`` that it needs.
    classes : tuple of type, default=()
        Estimators that its file defines, so that `save` knows them.
    """

    name: str
    make: Callable[[Sequence[str]], Any]
    languages: tuple[str, ...]
    package: str | None = None
    classes: tuple[type[Any], ...] = ()

    def estimator(self, texts: Sequence[str]) -> Any:
        """Make the estimator for `texts`, not fitted; its package must be there."""
        if self.package is not None:
            require_extra(self.package, "baselines", f"The strategy {self.name!r}")
        return self.make(texts)


def find_baseline(name: str) -> Baseline:
    """Definition of the baseline of this name, one of `NAMES`."""
    module = importlib.import_module(f"sktransfer.baselines.{name}")
    baseline: Baseline = module.BASELINE
    return baseline
