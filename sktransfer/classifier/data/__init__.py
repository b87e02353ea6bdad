"""From X, y and weights to rows that a network reads."""
