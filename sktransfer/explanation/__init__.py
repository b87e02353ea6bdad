"""Why a label was given: what each word of a text adds to the decision."""

from sktransfer.explanation.contributions import Explanation
from sktransfer.explanation.explaining import explain

__all__ = ["Explanation", "explain"]
