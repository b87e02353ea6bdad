"""What came of it: means and tests, sentences, tables."""
