"""Which difference is one: tests, intervals, distances, and sentences on them.

Pure functions of numbers. No module in this folder imports the standard library's
``statistics``, and none may: the name means this package here.
"""

from sktransfer.statistics.calibration import calibration_error
from sktransfer.statistics.distances import proxy_a_distance
from sktransfer.statistics.paired import (
    ChosenScore,
    FamilyTest,
    PairedTest,
    best_after_choice,
    could_be_best,
    detectable_difference,
    family_test,
    paired_test,
    score_interval,
)
from sktransfer.statistics.resampling import (
    MeanInterval,
    ResampledTTest,
    corrected_resampled_ttest,
    holm_correction,
    mean_interval,
)
from sktransfer.statistics.selective import (
    ConfidenceTable,
    LabelSets,
    Promise,
    confidence_table,
    label_sets,
)
from sktransfer.statistics.transferability import log_evidence
from sktransfer.statistics.verdicts import transfer_verdict, verdict

__all__ = [
    "ChosenScore",
    "ConfidenceTable",
    "FamilyTest",
    "LabelSets",
    "MeanInterval",
    "PairedTest",
    "Promise",
    "ResampledTTest",
    "best_after_choice",
    "calibration_error",
    "confidence_table",
    "corrected_resampled_ttest",
    "could_be_best",
    "detectable_difference",
    "family_test",
    "holm_correction",
    "label_sets",
    "log_evidence",
    "mean_interval",
    "paired_test",
    "proxy_a_distance",
    "score_interval",
    "transfer_verdict",
    "verdict",
]
