"""Rows of tokens through a frozen model."""
