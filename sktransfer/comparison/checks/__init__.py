"""Numbered checks of the data and of the results, each with a page in the docs."""
