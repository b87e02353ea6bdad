"""Folds run, measured and kept."""
