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
    counts, n_texts = Counter(facts.labels.tolist()).most_common(), len(facts.labels)
    if len(counts) == 2:
        label, n = counts[0]
        found = f"{count_of(n, n_texts)} are {label!r}, so that always guessing "
        found += f"{label!r} has an accuracy of {n / n_texts:.3f}"
    else:
        # It is the rare class that accuracy does not see, however common others are.
        label, n = counts[-1]
        verb = "is" if n == 1 else "are"
        found = f"{count_of(n, n_texts)} {verb} {label!r}, so that "
        found += f"never saying {label!r} costs no more than {n / n_texts:.3f} of the "
        found += "accuracy"
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
