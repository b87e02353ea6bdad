"""Transfer strategies and baselines under one cross-validation."""

from sktransfer.comparison.comparing import compare_strategies
from sktransfer.comparison.result import StrategyComparison

__all__ = ["StrategyComparison", "compare_strategies"]
