"""SKT009: one class has most of the texts, so that accuracy says little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sktransfer.comparison.checks.facts import Facts
from sktransfer.comparison.checks.phrases import count_of
from sktransfer.comparison.checks.registry import Check, Remark
from sktransfer.comparison.run.evaluation import choose_metric

__all__ = ["CHECK"]


def _look(facts: Facts) -> Iterator[Remark]:
    if not choose_metric(facts.labels.tolist())[1]:
        return
    label, n = Counter(facts.labels.tolist()).most_common(1)[0]
    share = n / len(facts.labels)
    found = f"{count_of(n, len(facts.labels))} are {label!r}, so that always "
    found += f"guessing {label!r} has an accuracy of {share:.3f}"
    if facts.scoring == "accuracy":
        yield Remark(
            f"{found}, and it is accuracy that decides.",
            "Let another metric decide: scoring='balanced_accuracy' or 'f1_macro'.",
        )
    else:
        remedy = "Label more texts of the rarer classes."
        if not facts.is_balanced:
            remedy = (
                "To name the rarer classes more often, set threshold='balanced' "
                "(--threshold balanced); label more texts of them."
            )
        yield Remark(f"{found}: {facts.scoring.replace('_', ' ')} decides.", remedy)


CHECK = Check(
    "SKT009",
    "skewed_classes",
    "One class has most of the texts",
    _look,
    needs=("labels",),
)
