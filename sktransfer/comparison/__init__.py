"""Transfer strategies and baselines under one cross-validation."""

from sktransfer.comparison.result import StrategyComparison

__all__ = ["StrategyComparison"]
