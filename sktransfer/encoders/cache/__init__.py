"""Vectors that were computed before: in memory or in a folder."""
