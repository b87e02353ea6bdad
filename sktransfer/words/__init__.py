"""Word vectors: text to vectors without torch or transformers."""
