"""Pictures of comparisons, in scikit-learn's Display convention; needs matplotlib."""
